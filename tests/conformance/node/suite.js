// Drives the simulator with `wechatpay-axios-plugin` as it comes from npm: node suite.js DATA_FOLDER
//
// The folder is that of a running simulator; ../run starts one. The SDK takes the host as its option
// `baseURL`. The checks build on each other, top to bottom.
'use strict';

const assert = require('node:assert/strict');
const { createHash, generateKeyPairSync } = require('node:crypto');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const { createServer } = require('node:http');
const { join } = require('node:path');
const { gunzipSync } = require('node:zlib');

const {
  Wechatpay,
  Formatter,
  Rsa,
  Aes: { AesGcm },
} = require('wechatpay-axios-plugin');

const folder = process.argv[2];
const read = (name) => readFileSync(join(folder, name), 'utf8');
const merchant = JSON.parse(read('merchant.json'));
const { mchid, appid, base_url: baseURL } = merchant;
const privateKey = Rsa.from(read('apiclient_key.pem'), Rsa.KEY_TYPE_PRIVATE);
const amount = { total: 100, currency: 'CNY' };

/** Says what holds, or what does not and why, and then stops. */
async function check(what, body) {
  try {
    await body();
  } catch (error) {
    console.log(`  FAILED  ${what}`);
    console.error(error.response ? [error.message, error.response.data] : error);
    process.exit(1);
  }
  console.log(`  ok      ${what}`);
}

/** A control call; with a body it is a POST. */
async function control(path, body, status = 200) {
  const sent = body && { method: 'POST', body: JSON.stringify(body) };
  const answer = await fetch(merchant.control_url + path, sent);
  const said = await answer.json();
  assert.equal(answer.status, status, `${path}: ${JSON.stringify(said)}`);
  return said;
}

/** The SDK, pointed at the simulator. */
function client(certs, key = privateKey) {
  return new Wechatpay({ baseURL, mchid, serial: merchant.serial_no, privateKey: key, certs });
}

/** The refusal of a call that must not succeed. */
async function refusal(call) {
  const { code, response } = await call.then(
    () => assert.fail('it was not refused'),
    (error) => error,
  );
  return { code, ...response };
}

/** Verifies and opens a notice with the SDK's own parts, or throws. */
function open(headers, body, certs) {
  const header = (name) => headers[`wechatpay-${name}`];
  const signed = Formatter.response(header('timestamp'), header('nonce'), body);
  assert.ok(Math.abs(Formatter.timestamp() - header('timestamp')) <= 300, 'stale');
  assert.ok(certs[header('serial')], `no key ${header('serial')}`);
  assert.ok(Rsa.verify(signed, header('signature'), certs[header('serial')]), 'bad signature');
  const { event_type: type, resource } = JSON.parse(body);
  const { ciphertext, nonce, associated_data: aad } = resource;
  return { type, ...JSON.parse(AesGcm.decrypt(ciphertext, merchant.apiv3_key, nonce, aad)) };
}

/** The merchant's notify_url: what the SDK thinks of a notice is the answer. */
async function receiver() {
  const arrived = [];
  const waiting = [];
  const server = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const notice = { headers: request.headers, body: Buffer.concat(pieces).toString() };
    try {
      notice.opened = open(notice.headers, notice.body, self.certs);
    } catch (error) {
      notice.refused = error;
    }
    response.writeHead(notice.opened ? 204 : 401).end();
    if (waiting.length) waiting.shift()(notice);
    else arrived.push(notice);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const next = () =>
    new Promise((resolve, reject) => {
      if (arrived.length) resolve(arrived.shift());
      else waiting.push(resolve);
      setTimeout(() => reject(new Error('no notice within ten seconds')), 10_000).unref();
    });
  const self = { url: `http://127.0.0.1:${server.address().port}/notify`, certs: {}, next };
  return self;
}

async function suite() {
  const certs = { [merchant.public_key_id]: Rsa.from(read('pub_key.pem'), Rsa.KEY_TYPE_PUBLIC) };
  const notices = await receiver();
  notices.certs = certs;
  let wxpay = client(certs);
  const { openid } = await control('/_sim/codes', {});
  const order = (number, more) => ({
    appid,
    mchid,
    description: '咖啡 ☕',
    out_trade_no: number,
    notify_url: notices.url,
    amount,
    ...more,
  });
  const query = (number) =>
    wxpay.v3.pay.transactions.outTradeNo.$out_trade_no$.get({
      params: { mchid },
      out_trade_no: number,
    });
  let jsapi;
  let native;
  let h5;
  let app;
  let notice;
  let paid;
  let day;

  await check('orders by jsapi, native, h5 and app', async () => {
    const { transactions } = wxpay.v3.pay;
    const scene = { payer_client_ip: '127.0.0.1', h5_info: { type: 'Wap' } };
    jsapi = (await transactions.jsapi.post(order('order-jsapi', { payer: { openid } }))).data
      .prepay_id;
    native = (await transactions.native.post(order('order-native'))).data.code_url;
    h5 = (await transactions.h5.post(order('order-h5', { scene_info: scene }))).data.h5_url;
    app = (await transactions.app.post(order('order-app'))).data.prepay_id;
    assert.match(jsapi, /^wx/);
    assert.match(native, /^weixin:\/\/wxpay\/bizpayurl/);
    assert.match(h5, /^https:\/\/wx\.tenpay\.com\//);
    assert.match(app, /^wx/);
  });

  await check('the phone takes what the SDK signed for wx.requestPayment and PayReq', async () => {
    const pay = {
      timeStamp: `${Formatter.timestamp()}`,
      nonceStr: Formatter.nonce(),
      package: `prepay_id=${jsapi}`,
    };
    pay.signType = 'RSA';
    pay.paySign = Rsa.sign(
      Formatter.joinedByLineFeed(appid, pay.timeStamp, pay.nonceStr, pay.package),
      privateKey,
    );
    const refused = await control(
      '/_sim/orders/order-jsapi/pay',
      { pay: { ...pay, nonceStr: 'other' } },
      409,
    );
    assert.equal(refused.code, 'BAD_PAY_SIGN');
    await control('/_sim/orders/order-jsapi/pay', { pay, openid });
    const req = { appId: appid, partnerId: mchid, prepayId: app, packageValue: 'Sign=WXPay' };
    Object.assign(req, { nonceStr: Formatter.nonce(), timeStamp: `${Formatter.timestamp()}` });
    req.sign = Rsa.sign(
      Formatter.joinedByLineFeed(appid, req.timeStamp, req.nonceStr, app),
      privateKey,
    );
    await control('/_sim/orders/order-app/pay', { app: req });
    await control('/_sim/orders/order-native/pay', { code_url: native });
  });

  await check('the SDK verifies and opens the notices of the payments', async () => {
    const opened = [await notices.next(), await notices.next(), await notices.next()];
    notice = opened.find((each) => each.opened?.out_trade_no === 'order-jsapi');
    assert.deepEqual(
      opened.map((each) => each.opened?.type),
      Array(3).fill('TRANSACTION.SUCCESS'),
    );
    paid = notice.opened;
    assert.equal(paid.amount.total, 100);
    assert.equal(paid.payer.openid, openid);
    assert.equal(notice.headers['wechatpay-serial'], merchant.public_key_id);
  });

  await check('the SDK refuses a tampered notice', async () => {
    const { headers, body } = notice;
    assert.throws(() => open(headers, body.replace('SUCCESS', 'SUCCES5'), certs), /bad signature/);
    assert.throws(
      () => open({ ...headers, 'wechatpay-nonce': 'other' }, body, certs),
      /bad signature/,
    );
  });

  await check(
    'a forged notice that comes first is refused, the genuine one after it is taken',
    async () => {
      await control('/_sim/faults', {
        name: 'notice_bad_signature',
        count: 1,
        out_trade_no: 'order-h5',
      });
      await control('/_sim/orders/order-h5/pay', { h5_url: h5 });
      assert.match((await notices.next()).refused.message, /bad signature/);
      await control('/_sim/clock', { advance_s: 15 });
      assert.equal((await notices.next()).opened.out_trade_no, 'order-h5');
    },
  );

  await check('queries by both ids', async () => {
    const byNumber = (await query('order-jsapi')).data;
    assert.equal(byNumber.trade_state, 'SUCCESS');
    const byId = await wxpay.v3.pay.transactions.id.$transaction_id$.get({
      params: { mchid },
      transaction_id: paid.transaction_id,
    });
    assert.deepEqual(byId.data, byNumber);
    const unknown = await refusal(query('order-unknown'));
    assert.equal(unknown.status, 404);
    assert.equal(unknown.data.code, 'ORDER_NOT_EXIST');
  });

  await check('closing an order', async () => {
    await wxpay.v3.pay.transactions.native.post(order('order-close'));
    const closed = await wxpay.v3.pay.transactions.outTradeNo.$out_trade_no$.close.post(
      { mchid },
      { out_trade_no: 'order-close' },
    );
    assert.equal(closed.status, 204);
    assert.equal((await query('order-close')).data.trade_state, 'CLOSED');
  });

  await check('a refund, its query and its notice', async () => {
    const refund = (
      await wxpay.v3.refund.domestic.refunds.post({
        transaction_id: paid.transaction_id,
        out_refund_no: 'refund-1',
        reason: '凉了',
        notify_url: notices.url,
        amount: { refund: 40, total: 100, currency: 'CNY' },
      })
    ).data;
    assert.equal(refund.status, 'PROCESSING');
    day = refund.create_time.slice(0, 10);
    await control('/_sim/refunds/refund-1/complete', {});
    const queried = await wxpay.v3.refund.domestic.refunds.$out_refund_no$.get({
      out_refund_no: 'refund-1',
    });
    assert.equal(queried.data.status, 'SUCCESS');
    const { opened } = await notices.next();
    assert.equal(opened.type, 'REFUND.SUCCESS');
    assert.equal(opened.amount.refund, 40);
  });

  await check('a trade bill, plain and GZIP, whose hash fits', async () => {
    // Ten in the morning of the next day is past.
    await control('/_sim/clock', { advance_s: 34 * 3600 });
    for (const packing of [{}, { tar_type: 'GZIP' }]) {
      const params = { bill_date: day, bill_type: 'ALL', ...packing };
      const offer = (await wxpay.v3.bill.tradebill.get({ params })).data;
      const url = new URL(offer.download_url);
      const file = await wxpay.v3.billdownload.file.get({
        params: Object.fromEntries(url.searchParams),
        responseType: 'arraybuffer',
      });
      const csv = packing.tar_type ? gunzipSync(file.data) : file.data;
      assert.equal(createHash('sha1').update(csv).digest('hex'), offer.hash_value);
      const { rows, summary } = Formatter.castCsvBill(csv);
      assert.ok(
        rows.some(
          (row) => row['微信订单号'] === paid.transaction_id && row['商户退款单号'] === 'refund-1',
        ),
      );
      assert.equal(summary['总交易单数'], `${rows.length}`);
    }
  });

  await check('the SDK refuses an answer that was altered after it was signed', async () => {
    await control('/_sim/faults', { name: 'response_altered', count: 1 });
    assert.equal((await refusal(query('order-jsapi'))).code, 'EV3_RES_HEADER_SIGNATURE_DIGEST');
  });

  await check('a wrong private key is refused', async () => {
    const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const params = { bill_date: '2026-01-01' };
    const refused = await refusal(client(certs, stranger).v3.bill.tradebill.get({ params }));
    assert.equal(refused.status, 401);
    assert.equal(refused.data.code, 'SIGN_ERROR');
    const { explanation } = (await control('/_sim/requests')).items.at(-1);
    assert.match(explanation, /use apiclient_key.pem/);
  });

  await check('platform certificates: downloaded, opened, and verified with', async () => {
    await control(`/_sim/merchants/${mchid}`, { mode: 'certificate' });
    // The SDK replaces the `certs` of what it is given by its own table and looks serials up in
    // it: whatever is put there before an answer is verified counts.
    const config = {
      baseURL,
      mchid,
      serial: merchant.serial_no,
      privateKey,
      certs: { any: undefined },
    };
    wxpay = new Wechatpay(config);
    const opener = (answer) => {
      for (const { serial_no: serial, encrypt_certificate: sealed } of JSON.parse(answer).data) {
        const pem = AesGcm.decrypt(
          sealed.ciphertext,
          merchant.apiv3_key,
          sealed.nonce,
          sealed.associated_data,
        );
        config.certs[serial] = Rsa.from(pem, Rsa.KEY_TYPE_PUBLIC);
      }
      return answer;
    };
    const { transformResponse } = wxpay.client.v3.defaults;
    const downloaded = await wxpay.v3.certificates.get({
      transformResponse: [opener, ...transformResponse],
    });
    const [{ serial_no: serial }] = downloaded.data.data;
    notices.certs = config.certs;
    await wxpay.v3.pay.transactions.native.post(order('order-certificate'));
    await control('/_sim/orders/order-certificate/pay', {});
    const { headers, opened } = await notices.next();
    assert.equal(opened.out_trade_no, 'order-certificate');
    assert.equal(headers['wechatpay-serial'], serial);
  });

  await check('no notice was accepted that should not have been', async () => {
    assert.deepEqual((await control('/_sim/violations')).items, []);
  });
}

suite().then(() => process.exit(0));
