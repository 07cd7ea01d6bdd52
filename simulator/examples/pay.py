# /// script
# dependencies = ["wechatpayv3"]
# ///
"""An order at the simulator, paid and notified: python pay.py DATA_FOLDER

DATA_FOLDER is the --data-dir of a wechatpay-simulator that runs on this machine.
"""

import http.server
import json
import pathlib
import sys
import threading
import time
import urllib.request

START_SECONDS = 10
NOTICE_SECONDS = 30

if len(sys.argv) != 2:
    sys.exit(__doc__)
try:
    from wechatpayv3 import WeChatPay, WeChatPayType
except ModuleNotFoundError as missing:
    sys.exit(f"there is no package {missing.name}: pip install wechatpayv3")
folder = pathlib.Path(sys.argv[1])
for waited in range(START_SECONDS):
    if (folder / "merchant.json").exists():
        break
    if waited == 0:
        print("waiting for: wechatpay-simulator --data-dir", folder)
    time.sleep(1)
else:
    sys.exit(f"no simulator has started in {folder}: is it the folder that --data-dir names?")
merchant = json.loads((folder / "merchant.json").read_text())

notices = []
arrived = threading.Event()


class Inbox(http.server.BaseHTTPRequestHandler):
    """Receives notices, and believes those that WeChat Pay's key has signed."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        notice = wxpay.callback(self.headers, body)
        # WeChat Pay sends again what is not answered 200 or 204; a forgery deserves neither.
        self.send_response(204 if notice else 401)
        self.end_headers()
        if notice:
            notices.append(notice)
            arrived.set()

    def log_message(self, *_):
        pass


inbox = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Inbox)
threading.Thread(target=inbox.serve_forever, daemon=True).start()
notify_url = f"http://127.0.0.1:{inbox.server_port}/notify"

wxpay = WeChatPay(
    wechatpay_type=WeChatPayType.NATIVE,
    mchid=merchant["mchid"],
    private_key=(folder / "apiclient_key.pem").read_text(),
    cert_serial_no=merchant["serial_no"],
    appid=merchant["appid"],
    apiv3_key=merchant["apiv3_key"],
    public_key=(folder / "pub_key.pem").read_text(),
    public_key_id=merchant["public_key_id"],
    notify_url=notify_url,
)
wxpay._core._gate_way = merchant["base_url"]

number = time.strftime("coffee%Y%m%d%H%M%S")
print("order:", *wxpay.pay(description="咖啡", out_trade_no=number, amount={"total": 100}))

# The payer scans the code and pays.
phone = f"{merchant['control_url']}/_sim/orders/{number}/pay"
urllib.request.urlopen(urllib.request.Request(phone, method="POST"))

print("query:", *wxpay.query(out_trade_no=number))

if not arrived.wait(NOTICE_SECONDS):
    sys.exit(f"no notice arrived at {notify_url}")
paid = notices[0]["resource"]
print("notice:", notices[0]["event_type"], paid["out_trade_no"], paid["trade_state"])
