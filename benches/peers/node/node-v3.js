// `wechatpay-node-v3` as it comes from npm, as its documentation has it: keys are what `readFileSync`
// gives, which the library parses at each signature and each check.
'use strict';

const { readFileSync } = require('node:fs');
const WxPay = require('wechatpay-node-v3');
const batches = require('./batches.js');

const { env } = process;
const publicKey = readFileSync(env.PUBLIC_KEY_FILE);
const pay = new WxPay({
  appid: 'wx0000000000000000',
  mchid: env.MCHID,
  serial_no: env.SERIAL_NO,
  publicKey,
  privateKey: readFileSync(env.PRIVATE_KEY_FILE),
  key: env.APIV3_KEY,
});
// It would download certificates; a public key has its place in the same table.
WxPay.certificates[env.PUBLIC_KEY_ID] = publicKey.toString();

batches({
  header: (method, target, body) => pay.buildAuthorization(method, target, body),

  async notice(headers, body) {
    const genuine = await pay.verifySign({
      timestamp: headers['wechatpay-timestamp'],
      nonce: headers['wechatpay-nonce'],
      serial: headers['wechatpay-serial'],
      signature: headers['wechatpay-signature'],
      body,
    });
    if (!genuine) throw new Error('forged');
    const { event_type: type, resource } = JSON.parse(body);
    const content = pay.decipher_gcm(
      resource.ciphertext,
      resource.associated_data,
      resource.nonce,
    );
    if (type !== 'TRANSACTION.SUCCESS') throw new Error('not a payment');
    return content.out_trade_no;
  },
});
