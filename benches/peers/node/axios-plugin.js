// `wechatpay-axios-plugin` as it comes from npm: the parts its documentation gives for headers and for
// notices, with keys parsed once.
'use strict';

const { readFileSync } = require('node:fs');
const {
  Formatter,
  Rsa,
  Aes: { AesGcm },
} = require('wechatpay-axios-plugin');
const batches = require('./batches.js');

const { env } = process;
const privateKey = Rsa.from(readFileSync(env.PRIVATE_KEY_FILE), Rsa.KEY_TYPE_PRIVATE);
const publicKey = Rsa.from(readFileSync(env.PUBLIC_KEY_FILE), Rsa.KEY_TYPE_PUBLIC);

batches({
  header(method, target, body) {
    const [timestamp, nonce] = [Formatter.timestamp(), Formatter.nonce()];
    const signed = Formatter.request(method, target, timestamp, nonce, body);
    const signature = Rsa.sign(signed, privateKey);
    return Formatter.authorization(env.MCHID, nonce, signature, timestamp, env.SERIAL_NO);
  },

  notice(headers, body) {
    const timestamp = headers['wechatpay-timestamp'];
    const signed = Formatter.response(timestamp, headers['wechatpay-nonce'], body);
    if (Math.abs(Formatter.timestamp() - timestamp) > 300) throw new Error('stale');
    if (headers['wechatpay-serial'] !== env.PUBLIC_KEY_ID) throw new Error('another key');
    if (!Rsa.verify(signed, headers['wechatpay-signature'], publicKey)) throw new Error('forged');
    const { event_type: type, resource } = JSON.parse(body);
    const { ciphertext, nonce, associated_data: aad } = resource;
    const content = JSON.parse(AesGcm.decrypt(ciphertext, env.APIV3_KEY, nonce, aad));
    if (type !== 'TRANSACTION.SUCCESS') throw new Error('not a payment');
    return content.out_trade_no;
  },
});
