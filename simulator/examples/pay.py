# /// script
# dependencies = ["wechatpayv3"]
# ///
"""An order at the simulator, paid: python pay.py DATA_FOLDER, beside a running wechatpay-simulator."""

import json
import pathlib
import sys
import time
import urllib.request

from wechatpayv3 import WeChatPay, WeChatPayType

folder = pathlib.Path(sys.argv[1])
while not (folder / "merchant.json").exists():
    print("waiting for wechatpay-simulator --data-dir", folder)
    time.sleep(1)
merchant = json.loads((folder / "merchant.json").read_text())

wxpay = WeChatPay(
    wechatpay_type=WeChatPayType.NATIVE,
    mchid=merchant["mchid"],
    private_key=(folder / "apiclient_key.pem").read_text(),
    cert_serial_no=merchant["serial_no"],
    appid=merchant["appid"],
    apiv3_key=merchant["apiv3_key"],
    public_key=(folder / "pub_key.pem").read_text(),
    public_key_id=merchant["public_key_id"],
    notify_url="http://127.0.0.1:8000/notify",
)
wxpay._core._gate_way = merchant["base_url"]

number = time.strftime("coffee%Y%m%d%H%M%S")
print("order:", *wxpay.pay(description="咖啡", out_trade_no=number, amount={"total": 100}))

# The payer scans the code and pays.
phone = f"{merchant['control_url']}/_sim/orders/{number}/pay"
urllib.request.urlopen(urllib.request.Request(phone, method="POST"))

print("query:", *wxpay.query(out_trade_no=number))
