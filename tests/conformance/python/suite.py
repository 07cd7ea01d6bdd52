"""Drives the simulator with `wechatpayv3` as it comes from PyPI: python suite.py DATA_FOLDER.

The folder is that of a running simulator; ../run starts one. The SDK has no option for the host, so
each client has its gateway set after it was made. The checks build on each other, top to bottom.
"""

import contextlib
import gzip
import hashlib
import json
import pathlib
import queue
import sys
import tempfile
import threading
import time
import traceback
import unittest.mock
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.type import RequestType
from wechatpayv3.utils import build_authorization

folder = pathlib.Path(sys.argv[1])
merchant = json.loads((folder / "merchant.json").read_text())
PRIVATE_KEY = (folder / "apiclient_key.pem").read_text()
PUBLIC_KEY = (folder / "pub_key.pem").read_text()


@contextlib.contextmanager
def check(what):
    """Says what holds, or what does not and why, and then stops."""
    try:
        yield
    except Exception:
        print(f"  FAILED  {what}", flush=True)
        traceback.print_exc()
        sys.exit(1)
    print(f"  ok      {what}", flush=True)


def control(path, body=None, status=200):
    """A control call; with a body it is a POST."""
    url = merchant["control_url"] + path
    answer = requests.get(url) if body is None else requests.post(url, json=body)
    assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"
    return answer.json()


def client(private_key=PRIVATE_KEY, **keys):
    """The SDK, pointed at the simulator; by default in public key mode."""
    keys = keys or {"public_key": PUBLIC_KEY, "public_key_id": merchant["public_key_id"]}
    wxpay = WeChatPay(
        wechatpay_type=WeChatPayType.JSAPI,
        mchid=merchant["mchid"],
        private_key=private_key,
        cert_serial_no=merchant["serial_no"],
        appid=merchant["appid"],
        apiv3_key=merchant["apiv3_key"],
        notify_url=notify_url,
        **keys,
    )
    wxpay._core._gate_way = merchant["base_url"]
    return wxpay


class Receiver(BaseHTTPRequestHandler):
    """The merchant's notify_url: the SDK verifies and opens what comes, and that is the answer."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = dict(self.headers)
        opened = wxpay.callback(headers, body)
        self.send_response(204 if opened else 401)
        self.end_headers()
        arrived.put((headers, body, opened))

    def log_message(self, *_):
        pass


arrived = queue.Queue()
server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
notify_url = f"http://127.0.0.1:{server.server_port}/notify"


def said(answer, member):
    """A member of a good answer."""
    code, text = answer
    assert code == 200, text
    return json.loads(text)[member]


def request_payment(prepay_id):
    """What the mini-program hands to wx.requestPayment, signed by the SDK."""
    moment, package = str(int(time.time())), f"prepay_id={prepay_id}"
    return {
        "timeStamp": moment,
        "nonceStr": "nonce",
        "package": package,
        "signType": "RSA",
        "paySign": wxpay.sign([merchant["appid"], moment, "nonce", package]),
    }


def pay_request(prepay_id):
    """What the app hands to the OpenSDK's PayReq, signed by the SDK."""
    moment = str(int(time.time()))
    return {
        "appId": merchant["appid"],
        "partnerId": merchant["mchid"],
        "prepayId": prepay_id,
        "packageValue": "Sign=WXPay",
        "nonceStr": "nonce",
        "timeStamp": moment,
        "sign": wxpay.sign([merchant["appid"], moment, "nonce", prepay_id]),
    }


wxpay = client()
amount = {"total": 100, "currency": "CNY"}
openid = control("/_sim/codes", {})["openid"]

with check("orders by jsapi, native, h5 and app"):
    scene = {"payer_client_ip": "127.0.0.1", "h5_info": {"type": "Wap"}}
    jsapi = wxpay.pay("咖啡 ☕", "order-jsapi", amount, payer={"openid": openid})
    native = wxpay.pay("咖啡 ☕", "order-native", amount, pay_type=WeChatPayType.NATIVE)
    h5 = wxpay.pay("咖啡 ☕", "order-h5", amount, pay_type=WeChatPayType.H5, scene_info=scene)
    app = wxpay.pay("咖啡 ☕", "order-app", amount, pay_type=WeChatPayType.APP)
    prepay_id, app_id = said(jsapi, "prepay_id"), said(app, "prepay_id")
    code_url, h5_url = said(native, "code_url"), said(h5, "h5_url")
    assert prepay_id.startswith("wx") and app_id.startswith("wx"), (prepay_id, app_id)
    assert code_url.startswith("weixin://wxpay/bizpayurl"), code_url
    assert h5_url.startswith("https://wx.tenpay.com/"), h5_url

with check("the phone takes what the SDK signed for wx.requestPayment and PayReq"):
    fields = request_payment(prepay_id)
    altered = {"pay": fields | {"nonceStr": "other"}}
    refused = control("/_sim/orders/order-jsapi/pay", altered, status=409)
    assert refused["code"] == "BAD_PAY_SIGN", refused
    control("/_sim/orders/order-jsapi/pay", {"pay": fields, "openid": openid})
    control("/_sim/orders/order-app/pay", {"app": pay_request(app_id)})
    control("/_sim/orders/order-native/pay", {"code_url": code_url})

with check("the SDK verifies and opens the notices of the payments"):
    notices = {}
    for _ in range(3):
        headers, body, opened = arrived.get(timeout=10)
        assert opened["event_type"] == "TRANSACTION.SUCCESS", opened
        notices[opened["resource"]["out_trade_no"]] = headers, body, opened["resource"]
    assert set(notices) == {"order-jsapi", "order-app", "order-native"}, notices
    headers, body, paid = notices["order-jsapi"]
    assert paid["amount"]["total"] == 100 and paid["payer"]["openid"] == openid, paid
    assert headers["Wechatpay-Serial"] == merchant["public_key_id"], headers

with check("the SDK refuses a tampered notice"):
    assert wxpay.callback(headers, body.replace(b"SUCCESS", b"SUCCES5", 1)) is None
    assert wxpay.callback(headers | {"Wechatpay-Nonce": "other"}, body) is None

with check("a forged notice that comes first is refused, the genuine one after it is taken"):
    fault = {"name": "notice_bad_signature", "count": 1, "out_trade_no": "order-h5"}
    control("/_sim/faults", fault)
    control("/_sim/orders/order-h5/pay", {"h5_url": h5_url})
    assert arrived.get(timeout=10)[2] is None
    control("/_sim/clock", {"advance_s": 15})
    assert arrived.get(timeout=10)[2]["resource"]["out_trade_no"] == "order-h5"

with check("queries by both ids"):
    code, text = wxpay.query(out_trade_no="order-jsapi")
    assert code == 200, text
    by_number = json.loads(text)
    assert by_number["trade_state"] == "SUCCESS", by_number
    code, text = wxpay.query(transaction_id=paid["transaction_id"])
    assert code == 200 and json.loads(text) == by_number, text
    code, text = wxpay.query(out_trade_no="order-unknown")
    assert code == 404 and json.loads(text)["code"] == "ORDER_NOT_EXIST", text

with check("closing an order"):
    wxpay.pay("咖啡 ☕", "order-close", amount, pay_type=WeChatPayType.NATIVE)
    assert wxpay.close("order-close") == (204, "")
    assert said(wxpay.query(out_trade_no="order-close"), "trade_state") == "CLOSED"

with check("a refund, its query and its notice"):
    refund = {"refund": 40, "total": 100, "currency": "CNY"}
    paid_id = paid["transaction_id"]
    answer = wxpay.refund("refund-1", refund, transaction_id=paid_id, reason="凉了")
    assert said(answer, "status") == "PROCESSING"
    day = said(answer, "create_time")[:10]
    control("/_sim/refunds/refund-1/complete", {})
    assert said(wxpay.query_refund("refund-1"), "status") == "SUCCESS"
    _, _, opened = arrived.get(timeout=10)
    assert opened["event_type"] == "REFUND.SUCCESS", opened
    assert opened["resource"]["amount"]["refund"] == 40, opened

with check("a trade bill, plain and GZIP, whose hash fits"):
    control("/_sim/clock", {"advance_s": 34 * 3600})  # Ten in the morning of the next day is past.
    plain = wxpay._core.request(f"/v3/bill/tradebill?bill_date={day}")
    for (code, text), unpack in ((plain, bytes), (wxpay.trade_bill(day), gzip.decompress)):
        assert code == 200, text
        offer = json.loads(text)
        code, content = wxpay.download_bill(offer["download_url"])
        assert code == 200, content
        content = unpack(content)
        assert hashlib.sha1(content).hexdigest() == offer["hash_value"], offer
        assert f"`{paid['transaction_id']}".encode() in content and b"`refund-1" in content

with check("the SDK refuses an answer that was altered after it was signed"):
    control("/_sim/faults", {"name": "response_altered", "count": 1})
    try:
        wxpay.query(out_trade_no="order-jsapi")
    except Exception as refusal:
        assert "failed to verify the signature" in str(refusal), refusal
    else:
        raise AssertionError("the SDK took it")


def explained():
    return control("/_sim/requests")["items"][-1]["explanation"]


with check("a wrong private key is refused"):
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    code, text = client(stranger.decode()).query(out_trade_no="order-jsapi")
    assert code == 401 and json.loads(text)["code"] == "SIGN_ERROR", text
    assert "use apiclient_key.pem" in explained(), explained()

with check("misuse is explained: query not signed, body serialised twice, clock six minutes off"):
    path = "/v3/pay/transactions/out-trade-no/order-jsapi"
    core = wxpay._core
    headers = {
        "Accept": "application/json",
        "Authorization": build_authorization(
            path, "GET", merchant["mchid"], merchant["serial_no"], core._private_key
        ),
    }
    whole = f"{path}?mchid={merchant['mchid']}"
    answer = requests.get(merchant["base_url"] + whole, headers=headers)
    assert answer.status_code == 401, answer.text
    assert f"the path was signed without its query: sign {whole}" in explained(), explained()

    order = {"appid": merchant["appid"], "mchid": merchant["mchid"], "description": "咖啡"}
    order |= {"out_trade_no": "order-twice", "notify_url": notify_url, "amount": amount}
    compact = json.dumps(order, separators=(",", ":"), ensure_ascii=False)
    path = "/v3/pay/transactions/native"
    code, text = core.request(path, RequestType.POST, order, sign_data=compact)
    assert code == 401, text
    assert "sign the very bytes that are sent" in explained(), explained()

    with unittest.mock.patch("time.time", return_value=time.time() - 360):
        code, text = wxpay.query(out_trade_no="order-jsapi")
    assert code == 401, text
    assert "6 minutes behind the server's clock" in explained(), explained()
    assert "set the machine's clock (NTP)" in explained(), explained()

with check("platform certificates: downloaded, verified with, and renewed when they rotate"):
    control(f"/_sim/merchants/{merchant['mchid']}", {"mode": "certificate"})
    with tempfile.TemporaryDirectory() as cert_dir:
        held = pathlib.Path(cert_dir)
        (held / "first.pem").write_text((folder / "platform_cert.pem").read_text())
        wxpay = client(cert_dir=cert_dir)
        assert said(wxpay.query(out_trade_no="order-jsapi"), "trade_state") == "REFUND"
        control(f"/_sim/merchants/{merchant['mchid']}/rotate", {"what": "platform_certificate"})
        control(f"/_sim/merchants/{merchant['mchid']}", {"new_certificate_share": 1})
        # Signed by a certificate that the SDK does not have yet: it downloads them by itself.
        wxpay.pay("咖啡 ☕", "order-certificate", amount, pay_type=WeChatPayType.NATIVE)
        assert len(list(held.iterdir())) == 3, list(held.iterdir())
        control("/_sim/orders/order-certificate/pay", {})
        headers, _, opened = arrived.get(timeout=10)
        assert opened["resource"]["out_trade_no"] == "order-certificate", opened
        assert (held / f"{headers['Wechatpay-Serial']}.pem").exists(), headers

with check("no notice was accepted that should not have been"):
    assert control("/_sim/violations")["items"] == []
