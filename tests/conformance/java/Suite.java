// Drives the simulator with the official Java SDK as it comes from Maven Central:
// java -cp 'LIB/*' Suite.java DATA_FOLDER. The folder is that of a running simulator; ../run starts
// one. Needs Java 17.
//
// The SDK names WeChat Pay's host in its code and takes an OkHttp client, whose interceptor sends
// everything to the simulator instead. The checks build on each other, top to bottom.

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.wechat.pay.java.core.Config;
import com.wechat.pay.java.core.RSAAutoCertificateConfig;
import com.wechat.pay.java.core.RSAPublicKeyConfig;
import com.wechat.pay.java.core.certificate.AutoCertificateService;
import com.wechat.pay.java.core.exception.ServiceException;
import com.wechat.pay.java.core.exception.ValidationException;
import com.wechat.pay.java.core.http.DefaultHttpClientBuilder;
import com.wechat.pay.java.core.http.HttpClient;
import com.wechat.pay.java.core.notification.NotificationConfig;
import com.wechat.pay.java.core.notification.NotificationParser;
import com.wechat.pay.java.core.notification.RequestParam;
import com.wechat.pay.java.core.util.PemUtil;
import com.wechat.pay.java.service.billdownload.BillDownloadServiceExtension;
import com.wechat.pay.java.service.billdownload.model.BillType;
import com.wechat.pay.java.service.billdownload.model.GetTradeBillRequest;
import com.wechat.pay.java.service.billdownload.model.TarType;
import com.wechat.pay.java.service.payments.app.AppServiceExtension;
import com.wechat.pay.java.service.payments.h5.H5Service;
import com.wechat.pay.java.service.payments.h5.model.H5Info;
import com.wechat.pay.java.service.payments.h5.model.SceneInfo;
import com.wechat.pay.java.service.payments.jsapi.JsapiServiceExtension;
import com.wechat.pay.java.service.payments.jsapi.model.Payer;
import com.wechat.pay.java.service.payments.jsapi.model.QueryOrderByIdRequest;
import com.wechat.pay.java.service.payments.jsapi.model.QueryOrderByOutTradeNoRequest;
import com.wechat.pay.java.service.payments.model.Transaction;
import com.wechat.pay.java.service.payments.nativepay.NativePayService;
import com.wechat.pay.java.service.payments.nativepay.model.CloseOrderRequest;
import com.wechat.pay.java.service.refund.RefundService;
import com.wechat.pay.java.service.refund.model.AmountReq;
import com.wechat.pay.java.service.refund.model.CreateRequest;
import com.wechat.pay.java.service.refund.model.QueryByOutRefundNoRequest;
import com.wechat.pay.java.service.refund.model.Refund;
import com.wechat.pay.java.service.refund.model.RefundNotification;
import com.wechat.pay.java.service.refund.model.Status;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import okhttp3.HttpUrl;
import okhttp3.Interceptor;
import okhttp3.OkHttpClient;
import okhttp3.Response;

public class Suite {
  static final Gson gson = new Gson();
  static final java.net.http.HttpClient plain = java.net.http.HttpClient.newHttpClient();
  static Path folder;
  static JsonObject merchant;
  static final OkHttpClient http =
      new OkHttpClient.Builder().addInterceptor(Suite::toSimulator).build();

  // What the checks hand to each other.
  static String notifyUrl;
  static volatile NotificationParser parser;
  static final BlockingQueue<Notice> notices = new LinkedBlockingQueue<>();
  static com.wechat.pay.java.service.payments.jsapi.model.PrepayWithRequestPaymentResponse forPage;
  static com.wechat.pay.java.service.payments.app.model.PrepayWithRequestPaymentResponse forApp;
  static String codeUrl;
  static String h5Url;
  static Notice kept;
  static Transaction paid;
  static String day;

  record Notice(Map<String, String> headers, String body, JsonObject envelope, Exception refused) {
    <T> T open(Class<T> kind) {
      RequestParam param =
          new RequestParam.Builder()
              .serialNumber(headers.get("wechatpay-serial"))
              .nonce(headers.get("wechatpay-nonce"))
              .signature(headers.get("wechatpay-signature"))
              .timestamp(headers.get("wechatpay-timestamp"))
              .signType(headers.get("wechatpay-signature-type"))
              .body(body)
              .build();
      return parser.parse(param, kind);
    }
  }

  interface Body {
    void run() throws Exception;
  }

  /** Says what holds, or what does not and why, and then stops. */
  static void check(String what, Body body) {
    try {
      body.run();
    } catch (Throwable why) {
      System.out.println("  FAILED  " + what);
      why.printStackTrace();
      System.exit(1);
    }
    System.out.println("  ok      " + what);
  }

  static void expect(boolean holds, Object seen) {
    if (!holds) {
      throw new AssertionError("not as expected: " + seen);
    }
  }

  /** The exception of a call that must be refused. */
  static <E extends Exception> E refusal(Class<E> kind, Body call) throws Exception {
    try {
      call.run();
    } catch (Exception refused) {
      return kind.cast(refused);
    }
    throw new AssertionError("it was not refused");
  }

  /** A control call; with a body it is a POST. */
  static JsonObject control(String path, Object body, int status) throws Exception {
    URI uri = URI.create(merchant.get("control_url").getAsString() + path);
    HttpRequest.Builder request = HttpRequest.newBuilder(uri);
    if (body != null) {
      request.POST(HttpRequest.BodyPublishers.ofString(gson.toJson(body)));
    }
    HttpResponse<String> answer =
        plain.send(request.build(), HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
    expect(answer.statusCode() == status, path + ": " + answer.statusCode() + " " + answer.body());
    return gson.fromJson(answer.body(), JsonObject.class);
  }

  static JsonObject control(String path, Object body) throws Exception {
    return control(path, body, 200);
  }

  static String setting(String name) {
    return merchant.get(name).getAsString();
  }

  /** Sends what is meant for WeChat Pay's host to the simulator. */
  static Response toSimulator(Interceptor.Chain chain) throws IOException {
    HttpUrl simulator = HttpUrl.get(setting("base_url"));
    HttpUrl.Builder url = chain.request().url().newBuilder();
    url.scheme(simulator.scheme()).host(simulator.host()).port(simulator.port());
    return chain.proceed(chain.request().newBuilder().url(url.build()).build());
  }

  /** The merchant's notify_url: what the SDK thinks of a notice is the answer. */
  static void receive(HttpExchange exchange) {
    try (exchange) {
      String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
      Map<String, String> headers = new HashMap<>();
      exchange
          .getRequestHeaders()
          .forEach((name, values) -> headers.put(name.toLowerCase(), values.get(0)));
      JsonObject envelope = gson.fromJson(body, JsonObject.class);
      Notice notice = new Notice(headers, body, envelope, null);
      try {
        notice.open(JsonObject.class);
      } catch (Exception why) {
        notice = new Notice(headers, body, envelope, why);
      }
      exchange.sendResponseHeaders(notice.refused == null ? 204 : 401, -1);
      notices.add(notice);
    } catch (Exception broken) {
      broken.printStackTrace();
    }
  }

  static Notice next() throws Exception {
    Notice notice = notices.poll(10, TimeUnit.SECONDS);
    expect(notice != null, "no notice within ten seconds");
    return notice;
  }

  static RSAPublicKeyConfig config(PrivateKey privateKey) {
    return new RSAPublicKeyConfig.Builder()
        .merchantId(setting("mchid"))
        .privateKey(privateKey)
        .merchantSerialNumber(setting("serial_no"))
        .publicKeyFromPath(folder.resolve("pub_key.pem").toString())
        .publicKeyId(setting("public_key_id"))
        .apiV3Key(setting("apiv3_key"))
        .build();
  }

  static HttpClient client(Config config) {
    return new DefaultHttpClientBuilder().config(config).okHttpClient(http).build();
  }

  static com.wechat.pay.java.service.payments.nativepay.model.PrepayRequest order(String number) {
    var amount = new com.wechat.pay.java.service.payments.nativepay.model.Amount();
    amount.setTotal(100);
    var order = new com.wechat.pay.java.service.payments.nativepay.model.PrepayRequest();
    order.setAppid(setting("appid"));
    order.setMchid(setting("mchid"));
    order.setDescription("咖啡 ☕");
    order.setOutTradeNo(number);
    order.setNotifyUrl(notifyUrl);
    order.setAmount(amount);
    return order;
  }

  static Transaction query(JsapiServiceExtension service, String number) {
    QueryOrderByOutTradeNoRequest request = new QueryOrderByOutTradeNoRequest();
    request.setOutTradeNo(number);
    request.setMchid(setting("mchid"));
    return service.queryOrderByOutTradeNo(request);
  }

  public static void main(String[] arguments) throws Exception {
    folder = Path.of(arguments[0]);
    merchant = gson.fromJson(Files.readString(folder.resolve("merchant.json")), JsonObject.class);
    HttpServer receiver =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    receiver.createContext("/notify", Suite::receive);
    receiver.start();
    notifyUrl = "http://127.0.0.1:" + receiver.getAddress().getPort() + "/notify";

    PrivateKey privateKey =
        PemUtil.loadPrivateKeyFromPath(folder.resolve("apiclient_key.pem").toString());
    RSAPublicKeyConfig config = config(privateKey);
    HttpClient client = client(config);
    parser = new NotificationParser(config);
    JsapiServiceExtension jsapi =
        new JsapiServiceExtension.Builder().config(config).httpClient(client).build();
    AppServiceExtension app =
        new AppServiceExtension.Builder().config(config).httpClient(client).build();
    NativePayService nativePay = new NativePayService.Builder().httpClient(client).build();
    H5Service h5 = new H5Service.Builder().httpClient(client).build();
    RefundService refunds = new RefundService.Builder().httpClient(client).build();
    BillDownloadServiceExtension bills =
        new BillDownloadServiceExtension.Builder()
            .httpClient(client)
            .decryptor(config.createDecryptor())
            .build();
    String openid = control("/_sim/codes", Map.of()).get("openid").getAsString();

    check(
        "orders by jsapi, native, h5 and app",
        () -> {
          // Each service has models of its own with the same members; Gson carries them over.
          String common = gson.toJson(order("order-jsapi"));
          var forJsapi =
              gson.fromJson(
                  common, com.wechat.pay.java.service.payments.jsapi.model.PrepayRequest.class);
          Payer payer = new Payer();
          payer.setOpenid(openid);
          forJsapi.setPayer(payer);
          forPage = jsapi.prepayWithRequestPayment(forJsapi);
          var ofApp =
              gson.fromJson(
                  common, com.wechat.pay.java.service.payments.app.model.PrepayRequest.class);
          ofApp.setOutTradeNo("order-app");
          forApp = app.prepayWithRequestPayment(ofApp);
          codeUrl = nativePay.prepay(order("order-native")).getCodeUrl();
          var ofH5 =
              gson.fromJson(
                  common, com.wechat.pay.java.service.payments.h5.model.PrepayRequest.class);
          ofH5.setOutTradeNo("order-h5");
          SceneInfo scene = new SceneInfo();
          scene.setPayerClientIp("127.0.0.1");
          H5Info info = new H5Info();
          info.setType("Wap");
          scene.setH5Info(info);
          ofH5.setSceneInfo(scene);
          h5Url = h5.prepay(ofH5).getH5Url();
          expect(forPage.getPackageVal().startsWith("prepay_id=wx"), forPage);
          expect(forApp.getPrepayId().startsWith("wx"), forApp);
          expect(codeUrl.startsWith("weixin://wxpay/bizpayurl"), codeUrl);
          expect(h5Url.startsWith("https://wx.tenpay.com/"), h5Url);
        });

    check(
        "the phone takes what the SDK signed for wx.requestPayment and PayReq",
        () -> {
          Map<String, String> pay = new HashMap<>();
          pay.put("timeStamp", forPage.getTimeStamp());
          pay.put("nonceStr", "other");
          pay.put("package", forPage.getPackageVal());
          pay.put("signType", forPage.getSignType());
          pay.put("paySign", forPage.getPaySign());
          JsonObject refused = control("/_sim/orders/order-jsapi/pay", Map.of("pay", pay), 409);
          expect(refused.get("code").getAsString().equals("BAD_PAY_SIGN"), refused);
          pay.put("nonceStr", forPage.getNonceStr());
          control("/_sim/orders/order-jsapi/pay", Map.of("pay", pay, "openid", openid));
          Map<String, String> request =
              Map.of(
                  "appId",
                  forApp.getAppid(),
                  "partnerId",
                  forApp.getPartnerId(),
                  "prepayId",
                  forApp.getPrepayId(),
                  "packageValue",
                  forApp.getPackageVal(),
                  "nonceStr",
                  forApp.getNonceStr(),
                  "timeStamp",
                  forApp.getTimestamp(),
                  "sign",
                  forApp.getSign());
          control("/_sim/orders/order-app/pay", Map.of("app", request));
          control("/_sim/orders/order-native/pay", Map.of("code_url", codeUrl));
        });

    check(
        "the SDK verifies and opens the notices of the payments",
        () -> {
          for (int count = 0; count < 3; count++) {
            Notice notice = next();
            expect(notice.refused == null, notice.refused);
            String event = notice.envelope.get("event_type").getAsString();
            expect(event.equals("TRANSACTION.SUCCESS"), notice);
            Transaction opened = notice.open(Transaction.class);
            if (opened.getOutTradeNo().equals("order-jsapi")) {
              kept = notice;
              paid = opened;
            }
          }
          expect(paid.getAmount().getTotal() == 100, paid);
          expect(paid.getPayer().getOpenid().equals(openid), paid);
          expect(kept.headers.get("wechatpay-serial").equals(setting("public_key_id")), kept);
        });

    check(
        "the SDK refuses a tampered notice",
        () -> {
          Notice altered =
              new Notice(kept.headers, kept.body.replace("SUCCESS", "SUCCES5"), null, null);
          refusal(ValidationException.class, () -> altered.open(Transaction.class));
          Map<String, String> headers = new HashMap<>(kept.headers);
          headers.put("wechatpay-nonce", "other");
          Notice moved = new Notice(headers, kept.body, null, null);
          refusal(ValidationException.class, () -> moved.open(Transaction.class));
        });

    check(
        "a forged notice that comes first is refused, the genuine one after it is taken",
        () -> {
          control(
              "/_sim/faults",
              Map.of("name", "notice_bad_signature", "count", 1, "out_trade_no", "order-h5"));
          control("/_sim/orders/order-h5/pay", Map.of("h5_url", h5Url));
          expect(next().refused instanceof ValidationException, "a forged notice was taken");
          control("/_sim/clock", Map.of("advance_s", 15));
          expect(
              next().open(Transaction.class).getOutTradeNo().equals("order-h5"), "another notice");
        });

    check(
        "queries by both ids",
        () -> {
          Transaction byNumber = query(jsapi, "order-jsapi");
          expect(byNumber.getTradeState() == Transaction.TradeStateEnum.SUCCESS, byNumber);
          QueryOrderByIdRequest request = new QueryOrderByIdRequest();
          request.setTransactionId(paid.getTransactionId());
          request.setMchid(setting("mchid"));
          Transaction byId = jsapi.queryOrderById(request);
          expect(byId.toString().equals(byNumber.toString()), byId);
          ServiceException unknown =
              refusal(ServiceException.class, () -> query(jsapi, "order-unknown"));
          expect(unknown.getErrorCode().equals("ORDER_NOT_EXIST"), unknown);
        });

    check(
        "closing an order",
        () -> {
          nativePay.prepay(order("order-close"));
          CloseOrderRequest request = new CloseOrderRequest();
          request.setOutTradeNo("order-close");
          request.setMchid(setting("mchid"));
          nativePay.closeOrder(request);
          Transaction closed = query(jsapi, "order-close");
          expect(closed.getTradeState() == Transaction.TradeStateEnum.CLOSED, closed);
        });

    check(
        "a refund, its query and its notice",
        () -> {
          AmountReq amount = new AmountReq();
          amount.setRefund(40L);
          amount.setTotal(100L);
          amount.setCurrency("CNY");
          CreateRequest request = new CreateRequest();
          request.setTransactionId(paid.getTransactionId());
          request.setOutRefundNo("refund-1");
          request.setReason("凉了");
          request.setNotifyUrl(notifyUrl);
          request.setAmount(amount);
          Refund refund = refunds.create(request);
          expect(refund.getStatus() == Status.PROCESSING, refund);
          day = refund.getCreateTime().substring(0, 10);
          control("/_sim/refunds/refund-1/complete", Map.of());
          QueryByOutRefundNoRequest query = new QueryByOutRefundNoRequest();
          query.setOutRefundNo("refund-1");
          expect(refunds.queryByOutRefundNo(query).getStatus() == Status.SUCCESS, "not SUCCESS");
          Notice notice = next();
          expect(notice.envelope.get("event_type").getAsString().equals("REFUND.SUCCESS"), notice);
          RefundNotification opened = notice.open(RefundNotification.class);
          expect(opened.getRefundStatus() == Status.SUCCESS, opened);
          expect(opened.getAmount().getRefund() == 40L, opened);
        });

    check(
        "a trade bill, plain and GZIP, whose hash fits",
        () -> {
          // Ten in the morning of the next day is past.
          control("/_sim/clock", Map.of("advance_s", 34 * 3600));
          for (TarType packing : new TarType[] {null, TarType.GZIP}) {
            GetTradeBillRequest request = new GetTradeBillRequest();
            request.setBillDate(day);
            request.setBillType(BillType.ALL);
            request.setTarType(packing);
            var bill = bills.getTradeBill(request);
            String csv = new String(bill.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            expect(bill.verifyHash(), "the hash does not fit");
            expect(csv.contains("`" + paid.getTransactionId()) && csv.contains("`refund-1"), csv);
          }
        });

    check(
        "the SDK refuses an answer that was altered after it was signed",
        () -> {
          control("/_sim/faults", Map.of("name", "response_altered", "count", 1));
          refusal(ValidationException.class, () -> query(jsapi, "order-jsapi"));
        });

    check(
        "a wrong private key is refused",
        () -> {
          KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
          generator.initialize(2048);
          RSAPublicKeyConfig strange = config(generator.generateKeyPair().getPrivate());
          JsapiServiceExtension service =
              new JsapiServiceExtension.Builder()
                  .config(strange)
                  .httpClient(client(strange))
                  .build();
          ServiceException refused =
              refusal(ServiceException.class, () -> query(service, "order-jsapi"));
          expect(refused.getErrorCode().equals("SIGN_ERROR"), refused);
          JsonArray requests = control("/_sim/requests", null).getAsJsonArray("items");
          JsonObject last = requests.get(requests.size() - 1).getAsJsonObject();
          expect(last.get("explanation").getAsString().contains("use apiclient_key.pem"), last);
        });

    check(
        "platform certificates: downloaded, verified with, and renewed when they rotate",
        () -> {
          String change = "/_sim/merchants/" + setting("mchid");
          control(change, Map.of("mode", "certificate"));
          RSAAutoCertificateConfig.Builder builder =
              new RSAAutoCertificateConfig.Builder()
                  .merchantId(setting("mchid"))
                  .privateKey(privateKey)
                  .merchantSerialNumber(setting("serial_no"))
                  .apiV3Key(setting("apiv3_key"))
                  .httpClientBuilder(new DefaultHttpClientBuilder().okHttpClient(http));
          RSAAutoCertificateConfig first = builder.build();
          JsapiServiceExtension service =
              new JsapiServiceExtension.Builder().config(first).httpClient(client(first)).build();
          Transaction refunded = query(service, "order-jsapi");
          expect(refunded.getTradeState() == Transaction.TradeStateEnum.REFUND, refunded);

          control(change + "/rotate", Map.of("what", "platform_certificate"));
          control(change, Map.of("new_certificate_share", 1));
          // Its own renewal comes every hour; making it anew is the same download.
          RSAAutoCertificateConfig renewed = builder.build();
          parser = new NotificationParser((NotificationConfig) renewed);
          new NativePayService.Builder()
              .httpClient(client(renewed))
              .build()
              .prepay(order("order-certificate"));
          control("/_sim/orders/order-certificate/pay", Map.of());
          Notice notice = next();
          expect(notice.refused == null, notice.refused);
          expect(
              notice.open(Transaction.class).getOutTradeNo().equals("order-certificate"), notice);
          String serial = notice.headers.get("wechatpay-serial");
          expect(
              AutoCertificateService.getCertificate(setting("mchid"), "RSA", serial) != null,
              serial);
        });

    check(
        "no notice was accepted that should not have been",
        () -> {
          JsonObject violations = control("/_sim/violations", null);
          expect(violations.getAsJsonArray("items").isEmpty(), violations);
        });
    System.exit(0);
  }
}
