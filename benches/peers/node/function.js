// A create-order like this project's in Node: the AWS SDK v3 and `wechatpay-axios-plugin`, of the two
// libraries on npm the one that verifies answers. It does the same work for the same event towards the
// same servers (benches/floor says which). benches/peers/run bundles it with esbuild, as SAM does. The
// Runtime API is a few lines here instead of AWS's own client of it, which only spares work.
//
// Not 'use strict': the bundle would be strict as a whole, which the library is not.

const { createHash, randomBytes, timingSafeEqual } = require('node:crypto');
const { Agent, request } = require('node:http');
const { DynamoDBClient, PutItemCommand } = require('@aws-sdk/client-dynamodb');
const { GetSecretValueCommand, SecretsManagerClient } = require('@aws-sdk/client-secrets-manager');
const { Formatter, Rsa, Wechatpay } = require('wechatpay-axios-plugin');

const { env } = process;
const table = new DynamoDBClient({});
const secrets = new SecretsManagerClient({});
const sha256 = (text) => createHash('sha256').update(text).digest();

async function read(secret) {
  const value = await secrets.send(new GetSecretValueCommand({ SecretId: secret }));
  return JSON.parse(value.SecretString);
}

/** What a start prepares; gives the handler. */
async function start() {
  // One after the other, over one connection.
  const signing = await read(env.SIGNING_SECRET_ARN);
  const wechatpay = await read(env.WECHATPAY_SECRET_ARN);
  const api = await read(env.API_SECRET_ARN);
  const privateKey = Rsa.from(signing.private_key, Rsa.KEY_TYPE_PRIVATE);
  const publicKey = Rsa.from(wechatpay.public_key, Rsa.KEY_TYPE_PUBLIC);
  const hashes = api.merchant_key_hashes.map((hash) => Buffer.from(hash, 'hex'));
  const wxpay = new Wechatpay({
    baseURL: env.WECHATPAY_BASE_URL,
    mchid: env.MCHID,
    serial: signing.serial_no,
    privateKey,
    certs: { [wechatpay.public_key_id]: publicKey },
  });

  return async function createOrder(event) {
    const digest = sha256(event.headers.authorization.replace('Bearer ', ''));
    if (!hashes.some((hash) => timingSafeEqual(hash, digest))) throw new Error('unknown credential');
    const order = JSON.parse(event.body);
    const { amount, description, out_trade_no, trade_type } = order;
    if (trade_type !== 'jsapi' || out_trade_no.length > 32 || amount.total < 1) {
      throw new Error('not an order of the kind that is measured');
    }
    const now = Formatter.timestamp();
    const expires = now + 30 * 60;
    await put(order, now, expires);

    const beijing = new Date((expires + 8 * 60 * 60) * 1000).toISOString();
    const time_expire = beijing.replace('.000Z', '+08:00');
    const prepaid = await wxpay.v3.pay.transactions.jsapi.post({
      appid: env.APPID,
      mchid: env.MCHID,
      description,
      out_trade_no,
      time_expire,
      notify_url: `${env.PUBLIC_BASE_URL}/wechatpay/notify`,
      amount: { total: amount.total, currency: 'CNY' },
      payer: { openid: order.payer.openid },
    });

    const pay = {
      timeStamp: `${Formatter.timestamp()}`,
      nonceStr: Formatter.nonce(),
      package: `prepay_id=${prepaid.data.prepay_id}`,
      signType: 'RSA',
    };
    const signed = Formatter.joinedByLineFeed(env.APPID, pay.timeStamp, pay.nonceStr, pay.package);
    pay.paySign = Rsa.sign(signed, privateKey);
    console.log(JSON.stringify({ level: 'INFO', 'order.out_trade_no': out_trade_no, status: 201 }));
    return {
      statusCode: 201,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
      body: JSON.stringify({
        amount: { currency: 'CNY', total: amount.total },
        out_trade_no,
        pay,
        time_expire,
        trade_state: 'NOTPAY',
        trade_type,
      }),
    };
  };
}

async function put(order, now, expires) {
  const S = (value) => ({ S: value });
  const N = (value) => ({ N: `${value}` });
  const command = new PutItemCommand({
    TableName: env.TABLE_NAME,
    Item: {
      pk: S(`ORDER#${order.out_trade_no}`),
      sk: S('ORDER'),
      attempt: S(randomBytes(16).toString('hex')),
      out_trade_no: S(order.out_trade_no),
      trade_type: S(order.trade_type),
      appid: S(env.APPID),
      mchid: S(env.MCHID),
      description: S(order.description),
      notify_url: S(`${env.PUBLIC_BASE_URL}/wechatpay/notify`),
      openid: S(order.payer.openid),
      placed_by: S('merchant'),
      trade_state: S('NOTPAY'),
      due_shard: S(`${sha256(order.out_trade_no)[0] % 10}`),
      wire_version: N(1),
      total: N(order.amount.total),
      time_expire: N(expires),
      created_at: N(now),
      version: N(1),
      due_at: N(now + 60),
    },
    ConditionExpression: 'attribute_not_exists(pk)',
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  });
  await table.send(command);
}

const agent = new Agent({ keepAlive: true });

/** A request to the Runtime API. */
function runtime(method, path, body) {
  return new Promise((resolve, reject) => {
    const [host, port] = env.AWS_LAMBDA_RUNTIME_API.split(':');
    const options = { agent, host, port, method, path: `/2018-06-01/runtime/invocation/${path}` };
    const sent = request(options, (answer) => {
      const pieces = [];
      answer.on('data', (piece) => pieces.push(piece));
      answer.on('end', () => resolve({ headers: answer.headers, body: Buffer.concat(pieces) }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

async function main() {
  const handler = await start();
  for (;;) {
    const next = await runtime('GET', 'next');
    const answer = await handler(JSON.parse(next.body));
    const id = next.headers['lambda-runtime-aws-request-id'];
    await runtime('POST', `${id}/response`, JSON.stringify(answer));
  }
}

main();
