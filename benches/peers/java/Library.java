// `wechatpay-java` as it comes from Maven Central, asked in batches (ours/src/main.rs says how):
// java -cp 'LIB/*' Library.java. Needs Java 17.

import com.wechat.pay.java.core.RSAPublicKeyConfig;
import com.wechat.pay.java.core.auth.Credential;
import com.wechat.pay.java.core.notification.NotificationParser;
import com.wechat.pay.java.core.notification.RequestParam;
import com.wechat.pay.java.service.payments.model.Transaction;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

public class Library {
  static Credential credential;
  static NotificationParser parser;

  public static void main(String[] arguments) throws Exception {
    RSAPublicKeyConfig config =
        new RSAPublicKeyConfig.Builder()
            .merchantId(System.getenv("MCHID"))
            .privateKeyFromPath(System.getenv("PRIVATE_KEY_FILE"))
            .merchantSerialNumber(System.getenv("SERIAL_NO"))
            .publicKeyFromPath(System.getenv("PUBLIC_KEY_FILE"))
            .publicKeyId(System.getenv("PUBLIC_KEY_ID"))
            .apiV3Key(System.getenv("APIV3_KEY"))
            .build();
    credential = config.createCredential();
    parser = new NotificationParser(config);
    BufferedReader batches = new BufferedReader(new InputStreamReader(System.in));
    for (String line = batches.readLine(); line != null; line = batches.readLine()) {
      try {
        System.out.println("ok " + batch(line));
      } catch (Exception refused) {
        System.out.println("no " + refused.getMessage().replaceAll("\\s+", " "));
      }
    }
  }

  static String batch(String line) throws Exception {
    String[] words = line.split(" ", 3);
    int count = Integer.parseInt(words[1]);
    String[] message = Files.readString(Path.of(words[2])).split("\n\n", 2);
    String last = "";
    if (words[0].equals("header")) {
      String[] request = message[0].split(" ");
      URI uri = URI.create("https://api.mch.weixin.qq.com" + request[1]);
      for (int done = 0; done < count; done++) {
        last = credential.getAuthorization(uri, request[0], message[1]);
      }
    } else {
      Map<String, String> headers = new HashMap<>();
      for (String header : message[0].split("\n")) {
        String[] parts = header.split(": ", 2);
        headers.put(parts[0], parts[1]);
      }
      for (int done = 0; done < count; done++) {
        last = notice(headers, message[1]);
      }
    }
    return last;
  }

  static String notice(Map<String, String> headers, String body) {
    RequestParam notice =
        new RequestParam.Builder()
            .serialNumber(headers.get("wechatpay-serial"))
            .nonce(headers.get("wechatpay-nonce"))
            .signature(headers.get("wechatpay-signature"))
            .timestamp(headers.get("wechatpay-timestamp"))
            .signType(headers.get("wechatpay-signature-type"))
            .body(body)
            .build();
    Transaction paid = parser.parse(notice, Transaction.class);
    if (paid.getTradeState() != Transaction.TradeStateEnum.SUCCESS) {
      throw new IllegalArgumentException("not a payment");
    }
    return paid.getOutTradeNo();
  }
}
