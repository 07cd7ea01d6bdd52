//! Everything the doctor says, in English and Chinese side by side.
//!
//! Evidence is a fragment that goes on after a colon, a fix is one sentence. `{name}` is a place for a
//! value, which never is a secret. A test sees to it that both languages are there, with the same places.

use super::text::{Text, texts};

texts! {
    SUMMARY {
        "{ok} in order, {failed} to mend, {skipped} not checked",
        "{ok} 项正常，{failed} 项需要处理，{skipped} 项未检查"
    }

    TITLE_STACK { "Stack", "部署" }
    TITLE_IAM { "What your credentials may read", "您的 AWS 凭证能读取的内容" }
    TITLE_SECRETS { "Secrets' shapes", "密钥的格式" }
    TITLE_FILES { "PEM files", "PEM 文件" }
    TITLE_MCHID { "Merchant number (mchid)", "商户号（mchid）" }
    TITLE_PRIVATE_KEY { "Private key (apiclient_key.pem)", "商户私钥（apiclient_key.pem）" }
    TITLE_CERTIFICATE { "Merchant certificate (apiclient_cert.pem)", "商户 API 证书（apiclient_cert.pem）" }
    TITLE_KEY_PAIR { "Private key and certificate", "私钥与证书是否配对" }
    TITLE_SERIAL_NO { "Certificate's serial number", "证书序列号" }
    TITLE_PUBLIC_KEY { "WeChat Pay's public key (pub_key.pem)", "微信支付公钥（pub_key.pem）" }
    TITLE_PUBLIC_KEY_ID { "Public key's id", "微信支付公钥 ID" }
    TITLE_APIV3_KEY { "APIv3 key", "APIv3 密钥" }
    TITLE_APPID { "Appid", "AppID" }
    TITLE_APP_SECRET { "AppSecret", "AppSecret（小程序密钥）" }
    TITLE_NOTIFY_URL { "notify_url", "回调地址（notify_url）" }
    TITLE_NOTIFY_REACHABLE { "Who answers at notify_url", "回调地址能否访问" }
    TITLE_REQUEST_DOMAIN { "Host for the mini-program", "小程序的请求域名" }
    TITLE_FUNCTIONS { "Deployed functions", "已部署的函数" }
    TITLE_CLOCK { "Clock", "时钟" }
    TITLE_SIGNATURE { "WeChat Pay accepts your signature", "微信支付接受您的签名" }
    TITLE_ANSWER_SIGNATURE { "WeChat Pay's signature holds", "微信支付的应答验签" }
    TITLE_APIV3_KEY_OPENS { "APIv3 key opens what WeChat Pay seals", "APIv3 密钥能否解密" }
    TITLE_APPID_BOUND { "Appid bound to the merchant number", "AppID 与商户号的绑定" }
    TITLE_APP_LOGIN { "WeChat accepts the AppSecret", "微信接受 AppSecret" }
    TITLE_TRADE_MANAGEMENT { "Shipping information", "小程序发货信息管理" }
    TITLE_VIRTUAL_GOODS { "Virtual goods", "虚拟商品" }

    NOT_GIVEN { "not given", "未提供" }
    OFFLINE { "not asked (--offline)", "没有联网检查（--offline）" }
    NO_ORDER { "not asked without --place-order", "没有加 --place-order，未试下单" }
    CANNOT_SIGN {
        "cannot be asked without a usable private key, serial number and merchant number",
        "缺少可用的私钥、证书序列号或商户号，无法请求微信支付"
    }
    CANNOT_OPEN { "there is no APIv3 key to try", "没有可以尝试的 APIv3 密钥" }
    CANNOT_LOG_IN { "cannot be asked without appid and AppSecret", "缺少 AppID 或 AppSecret，无法请求" }
    SIMULATORS_OWN {
        "not asked of a local stack; --from .wxpay/simulator asks its simulator",
        "本地环境不请求；--from .wxpay/simulator 可以请求它的模拟器"
    }
    NO_ADDRESS { "there is no address to ask", "没有可以请求的地址" }
    ADDRESS_FAULTY { "not asked: the address cannot be meant", "没有请求：地址本身不对" }
    CANNOT_BIND { "cannot be asked without an appid", "缺少 AppID，无法请求" }
    HOST_NOT_TRUSTED {
        "not asked: the address is neither WeChat's own nor on this machine",
        "没有请求：地址既不是微信的域名，也不在本机"
    }
    NOT_ASKED_FURTHER { "not asked, since the question before it failed", "前一个请求没有成功，没有继续" }
    NO_STACK { "no stack was looked at", "没有指定部署" }
    STACK_UNSEEN { "the stack could not be looked at", "没能读取这个部署" }
    NO_USABLE_KEY { "there is no usable private key", "没有可用的私钥" }
    NO_USABLE_CERTIFICATE { "there is no usable certificate", "没有可用的证书" }
    NO_SECRETS { "there are none to look at", "没有可检查的密钥" }

    GIVE_MCHID { "Give --mchid, or put mchid.txt into the folder.", "请加上 --mchid，或在文件夹里放 mchid.txt。" }
    GIVE_APPID { "Give --appid, or put appid.txt into the folder.", "请加上 --appid，或在文件夹里放 appid.txt。" }
    GIVE_PRIVATE_KEY {
        "Put apiclient_key.pem into the folder of --from.",
        "把 apiclient_key.pem 放进 --from 的文件夹。"
    }
    GIVE_CERTIFICATE {
        "Put apiclient_cert.pem into the folder of --from, to have key and serial number compared with it.",
        "把 apiclient_cert.pem 放进 --from 的文件夹，才能核对私钥和序列号。"
    }
    GIVE_PUBLIC_KEY {
        "Put pub_key.pem into the folder of --from (商户平台 → 账户中心 → API安全 → 微信支付公钥).",
        "把 pub_key.pem 放进 --from 的文件夹（商户平台 → 账户中心 → API安全 → 微信支付公钥）。"
    }
    GIVE_PUBLIC_KEY_ID {
        "Put the id PUB_KEY_ID_… that stands beside the public key on the platform into pub_key_id.txt.",
        "把商户平台上公钥旁边的 PUB_KEY_ID_… 存成 pub_key_id.txt。"
    }
    GIVE_APIV3 { "Put the APIv3 key into apiv3.txt.", "把 APIv3 密钥存成 apiv3.txt。" }
    GIVE_APP_SECRET {
        "Put the AppSecret (小程序后台 → 开发管理 → 开发设置) into appsecret.txt.",
        "把 AppSecret（小程序后台 → 开发管理 → 开发设置）存成 appsecret.txt。"
    }
    GIVE_NOTIFY_URL {
        "Give --notify-url (output NotifyUrl of the stack).",
        "请加上 --notify-url（部署的输出 NotifyUrl）。"
    }
    GIVE_FILES { "Give a folder with --from.", "请用 --from 指定文件夹。" }
    GIVE_STACK { "Give --stack to look at a deployed stack, too.", "请加上 --stack，连同已部署的环境一起检查。" }
    GO_ONLINE {
        "To have it checked, give what is missing above, leave out --offline, and add --place-order where it says so.",
        "要检查这一项，请补齐上面缺少的内容，去掉 --offline；提示 --place-order 的，请加上它。"
    }

    MCHID_SHAPED { "{mchid}", "{mchid}" }
    MCHID_CERTIFIED { "{mchid}, and the certificate names it", "{mchid}，与证书里的商户号一致" }
    MCHID_IS_APPID { "it begins with wx: that is an appid", "以 wx 开头：这是 AppID，不是商户号" }
    MCHID_SHAPE { "it is not 8 to 10 digits", "不是 8 到 10 位数字" }
    MCHID_OTHER {
        "{mchid}, but the certificate is of merchant {certified}",
        "填的是 {mchid}，证书却属于商户 {certified}"
    }
    FIX_MCHID {
        "Use the merchant number that 商户平台 → 账户中心 → 商户信息 shows.",
        "请使用 商户平台 → 账户中心 → 商户信息 里显示的商户号。"
    }
    FIX_MCHID_OTHER {
        "Correct the merchant number, or take certificate and key of this merchant.",
        "改正商户号，或换成这个商户自己的证书和私钥。"
    }

    RSA_KEY { "an RSA key of {bits} bits", "{bits} 位 RSA 密钥" }
    KEY_IS_CERTIFICATE {
        "it holds a certificate (BEGIN CERTIFICATE), not a private key",
        "里面是证书（BEGIN CERTIFICATE），不是私钥"
    }
    KEY_IS_PUBLIC { "it holds a public key, not a private key", "里面是公钥，不是私钥" }
    KEY_IS_REQUEST {
        "it holds a certificate request, not a private key",
        "里面是证书请求（CSR），不是私钥"
    }
    KEY_IS_ENCRYPTED { "the private key is behind a password", "私钥带有密码" }
    KEY_IS_NOT_RSA { "it is not an RSA key", "不是 RSA 私钥" }
    KEY_IS_NOT_PEM { "it is not PEM of a private key", "不是 PEM 格式的私钥" }
    KEY_UNSOUND {
        "it cannot be read, is cut off, or has fewer than 2048 bits",
        "无法读取、内容不完整，或不足 2048 位"
    }
    FIX_PRIVATE_KEY {
        "Use apiclient_key.pem as WeChat's certificate tool wrote it; if it is lost, apply for a new certificate.",
        "请使用微信证书工具生成的 apiclient_key.pem；如果丢失，只能重新申请证书。"
    }
    FIX_ENCRYPTED {
        "Take the password off: openssl pkey -in apiclient_key.pem -out apiclient_key.pem.new.",
        "去掉密码：openssl pkey -in apiclient_key.pem -out apiclient_key.pem.new。"
    }
    SEE_PRIVATE_KEY { "Mend the private key first.", "请先处理私钥的问题。" }

    CERTIFICATE_VALID {
        "serial number {serial}, valid for {days} more days",
        "序列号 {serial}，还有 {days} 天到期"
    }
    CERTIFICATE_ENDS_SOON { "it ends soon: apply for the next one now", "即将到期，请尽快更换" }
    CERTIFICATE_EXPIRED { "it expired {days} days ago", "已过期 {days} 天" }
    CERTIFICATE_NOT_YET {
        "it is not valid yet, by this machine's clock",
        "按本机时钟，证书还没有生效"
    }
    CERTIFICATE_IS_KEY { "it holds a private key, not a certificate", "里面是私钥，不是证书" }
    CERTIFICATE_IS_REQUEST {
        "it holds a certificate request, not the certificate that was issued for it",
        "里面是证书请求（CSR），不是签发下来的证书"
    }
    CERTIFICATE_IS_PUBLIC { "it holds a public key, not a certificate", "里面是公钥，不是证书" }
    CERTIFICATE_UNREADABLE { "it is not PEM of a certificate", "不是 PEM 格式的证书" }
    CERTIFICATE_IS_PLATFORMS {
        "it is WeChat Pay's platform certificate, not the merchant's",
        "这是微信支付平台证书，不是商户 API 证书"
    }
    FIX_CERTIFICATE {
        "Use apiclient_cert.pem from the same folder as apiclient_key.pem.",
        "请使用与 apiclient_key.pem 同一个文件夹里的 apiclient_cert.pem。"
    }
    FIX_CERTIFICATE_EXPIRED {
        "Apply for a new certificate (商户平台 → 账户中心 → API安全 → 商户API证书) and replace key and serial number together.",
        "重新申请证书（商户平台 → 账户中心 → API安全 → 商户API证书），私钥和序列号要一起更换。"
    }

    PAIR_FITS { "the private key is the certificate's", "私钥与证书配对" }
    PAIR_DIFFERS { "the private key is not the certificate's", "私钥与证书不配对" }
    FIX_PAIR {
        "Take apiclient_key.pem and apiclient_cert.pem from the same application.",
        "请使用同一次申请得到的 apiclient_key.pem 和 apiclient_cert.pem。"
    }

    SERIAL_FROM_CERTIFICATE { "{serial}, from the certificate", "{serial}，取自证书" }
    SERIAL_FITS { "{serial}, the certificate's", "{serial}，与证书一致" }
    SERIAL_SHAPED {
        "{serial}; there is no certificate to compare it with",
        "{serial}；没有证书可以核对"
    }
    SERIAL_SHAPE {
        "it is not 40 hexadecimal digits ({length} characters)",
        "不是 40 位十六进制（现有 {length} 个字符）"
    }
    SERIAL_IS_PUBLIC_KEY_ID {
        "it is the id of WeChat Pay's public key, not your certificate's serial number",
        "这是微信支付公钥 ID，不是商户证书的序列号"
    }
    SERIAL_OTHER {
        "{serial} is of another certificate; this one has {certified}",
        "{serial} 是另一张证书的序列号，这张证书的是 {certified}"
    }
    FIX_SERIAL { "Write {serial} as serial_no.", "把 serial_no 改为 {serial}。" }
    FIX_SERIAL_UNKNOWN {
        "Read it from the certificate: openssl x509 -in apiclient_cert.pem -noout -serial, without the serial= before it.",
        "从证书读取：openssl x509 -in apiclient_cert.pem -noout -serial，不要带前面的 serial=。"
    }
    SEE_SIGNATURE { "See what WeChat Pay says to your signature.", "请看微信支付对签名的应答。" }

    CERTIFICATES_INSTEAD {
        "platform certificates are used in its place",
        "用平台证书代替"
    }
    SEE_ANSWER { "See whether WeChat Pay's signature holds.", "请看微信支付的应答验签。" }
    PUBLIC_KEY_IS_OWN {
        "it is the public half of your own private key, not WeChat Pay's",
        "这是您自己私钥对应的公钥，不是微信支付的公钥"
    }
    PUBLIC_KEY_IS_CERTIFICATE { "it holds a certificate, not a public key", "里面是证书，不是公钥" }
    PUBLIC_KEY_IS_PRIVATE { "it holds a private key, not a public key", "里面是私钥，不是公钥" }
    PUBLIC_KEY_IS_PKCS1 {
        "it is wrapped in PKCS#1 (BEGIN RSA PUBLIC KEY)",
        "是 PKCS#1 格式（BEGIN RSA PUBLIC KEY）"
    }
    PUBLIC_KEY_UNREADABLE {
        "it is not PEM of an RSA public key of 2048 bits",
        "不是 PEM 格式的 2048 位 RSA 公钥"
    }
    FIX_PUBLIC_KEY {
        "Download pub_key.pem again: 商户平台 → 账户中心 → API安全 → 微信支付公钥.",
        "重新下载 pub_key.pem：商户平台 → 账户中心 → API安全 → 微信支付公钥。"
    }
    FIX_PKCS1 {
        "Convert it: openssl rsa -RSAPublicKey_in -in pub_key.pem -pubout -out pub_key.pem.new.",
        "转换格式：openssl rsa -RSAPublicKey_in -in pub_key.pem -pubout -out pub_key.pem.new。"
    }
    ID_SHAPED { "{id}", "{id}" }
    ID_PROVEN { "{id}, and WeChat Pay signed with it", "{id}，微信支付的应答就是用它签名的" }
    ID_SHAPE { "it is not PUB_KEY_ID_ and digits", "不是 PUB_KEY_ID_ 加数字" }
    ID_IS_OWN_SERIAL {
        "it is your own certificate's serial number",
        "这是您自己的商户证书序列号"
    }
    ID_IS_PLATFORM_SERIAL {
        "{id}, the form of a platform certificate's serial number",
        "{id}，形式是平台证书序列号"
    }
    ID_OTHER_MERCHANT {
        "{id} names merchant {named}, and yours is {mchid}",
        "{id} 属于商户 {named}，而您的商户号是 {mchid}"
    }
    FIX_ID {
        "Copy the id that stands beside 微信支付公钥 in 商户平台 → 账户中心 → API安全 of this merchant.",
        "复制这个商户的 商户平台 → 账户中心 → API安全 里微信支付公钥旁边的公钥 ID。"
    }

    WORD_LENGTH { "it has {length} bytes; it must have 32", "长度是 {length} 个字节，应为 32 个" }
    WORD_HAS_BLANKS {
        "it has {length} bytes: 32, and blanks or a line feed around them",
        "长度是 {length} 个字节：32 个字符之外还有空格或换行"
    }
    WORD_HAS_BOM {
        "it has {length} bytes: 32, and a byte order mark before them",
        "长度是 {length} 个字节：32 个字符之前有 BOM"
    }
    WORD_IS_QUOTED {
        "it has {length} bytes: 32, and quotation marks around them",
        "长度是 {length} 个字节：32 个字符之外还有引号"
    }
    WORD_LETTERS { "it has other characters than letters and digits", "含有字母和数字以外的字符" }
    WORD_PLACEHOLDER { "it is one character 32 times: a placeholder", "同一个字符重复 32 次：这是占位符" }
    WORD_IS_PEM { "it holds a key or certificate in PEM", "里面是 PEM 格式的密钥或证书" }

    APIV3_SHAPED { "32 letters and digits", "32 位字母和数字" }
    APIV3_OPENS {
        "32 letters and digits, and it opens what WeChat Pay seals",
        "32 位字母和数字，并且能解密微信支付的数据"
    }
    APIV3_MAY_BE_V2 {
        "32 hexadecimal digits: it may be an APIv3 key, and it may be the older API key (APIv2), which looks the same",
        "32 位十六进制：可能是 APIv3 密钥，也可能是旧的 API 密钥（APIv2），两者看起来一样"
    }
    FIX_MAY_BE_V2 {
        "Compare it with what was set under 商户平台 → 账户中心 → API安全 → APIv3密钥, not under API密钥.",
        "请与 商户平台 → 账户中心 → API安全 → APIv3密钥（不是“API密钥”）里设置的内容核对。"
    }
    APIV3_IS_APP_SECRET { "it is the AppSecret", "填的是 AppSecret" }
    FIX_APIV3 {
        "Set an APIv3 key of 32 letters and digits (商户平台 → 账户中心 → API安全 → APIv3密钥) and store the same here, with nothing around it.",
        "设置 32 位字母和数字的 APIv3 密钥（商户平台 → 账户中心 → API安全 → APIv3密钥），原样保存，前后不要有别的字符。"
    }

    APPID_SHAPED { "{appid}", "{appid}" }
    APPID_SHAPE {
        "it is not wx and 16 lower-case letters and digits",
        "不是 wx 加 16 位小写字母和数字"
    }
    APPID_IS_ORIGINAL_ID {
        "it is the account's original id (gh_…), not the appid",
        "这是原始 ID（gh_ 开头），不是 AppID"
    }
    APPID_IS_MCHID { "it is a merchant number", "填的是商户号" }
    FIX_APPID {
        "Copy the AppID from the mini-program console: 开发管理 → 开发设置.",
        "从小程序后台 开发管理 → 开发设置 复制 AppID。"
    }
    APP_SECRET_SHAPED { "32 letters and digits", "32 位字母和数字" }
    APP_SECRET_OTHER_APPID {
        "it is of {of_secret}, and orders are placed under {appid}",
        "它属于 {of_secret}，而下单使用 {appid}"
    }
    FIX_APP_SECRET {
        "Copy the AppSecret of this appid from the mini-program console (开发管理 → 开发设置), or reset it there.",
        "从小程序后台（开发管理 → 开发设置）复制这个 AppID 的 AppSecret，或在那里重置。"
    }
    FIX_APP_SECRET_APPID {
        "Store appid and AppSecret of the mini-program that the orders are placed under.",
        "请保存下单所用小程序的 AppID 和 AppSecret。"
    }

    SECRET_UNUSABLE { "{secret}: {problem}", "{secret}：{problem}" }
    SECRETS_USABLE { "the functions can read {secrets}", "函数可以读取 {secrets}" }
    FIX_SECRET {
        "Store the secret again with wxpay secrets put, or as docs/operations.md (First deployment, step 4) shows.",
        "用 wxpay secrets put 重新保存这个密钥，或按 docs/operations.zh-CN.md（“首次部署”第 4 步）操作。"
    }

    FILES_CLEAN { "no byte order mark and no Windows line ends in {count} of them", "{count} 个文本，没有 BOM，也没有 Windows 换行" }
    FILE_HAS_BOM {
        "{file} begins with a byte order mark (BOM)",
        "{file} 开头有 BOM"
    }
    FILE_IS_NOT_UTF8 { "{file} is not UTF-8 text", "{file} 不是 UTF-8 文本" }
    FILE_HAS_CRLF { "{file} has Windows line ends (CRLF)", "{file} 是 Windows 换行（CRLF）" }
    FILE_HAS_ESCAPES {
        "{file} has \\n in two characters in place of line feeds",
        "{file} 里的换行变成了 \\n 两个字符"
    }
    FILE_IS_ONE_LINE { "{file} is one line without line feeds", "{file} 只有一行，换行丢失" }
    FIX_FILES {
        "Take the files as WeChat's tool wrote them, without opening and saving them in an editor.",
        "请使用微信工具生成的原始文件，不要用编辑器打开后另存。"
    }
    FIX_CARRIAGE_RETURNS {
        "Take the carriage returns away: tr -d '\\r' < file > file.new.",
        "去掉回车符：tr -d '\\r' < file > file.new。"
    }

    NOTIFY_SHAPED { "{address}", "{address}" }
    NOTIFY_LOCAL {
        "a local stack: only the simulator on this machine sends notifications to it",
        "本地环境：只有本机的模拟器会发来通知"
    }
    NOTIFY_LOCAL_FIX {
        "Deploy the stack to have notifications from WeChat Pay itself.",
        "部署到 AWS 之后，微信支付才能发来通知。"
    }
    NOTIFY_BLANK { "it has a blank or a line feed in it", "含有空格或换行" }
    NOTIFY_LONG { "it has more than 255 characters", "超过 255 个字符" }
    NOTIFY_UNREADABLE { "it is not an absolute address", "不是完整的网址" }
    NOTIFY_QUERY { "it has a query (?…), which WeChat Pay refuses", "带有查询参数（?…），微信支付不接受" }
    NOTIFY_FRAGMENT { "it has a fragment (#…), which WeChat Pay refuses", "带有 #…，微信支付不接受" }
    NOTIFY_HTTP { "it is not https", "不是 https" }
    NOTIFY_USER { "it has a user name or password in it", "含有用户名或密码" }
    NOTIFY_PRIVATE {
        "its host cannot be reached from outside (this machine or a private network)",
        "主机在外网无法访问（本机或内网地址）"
    }
    NOTIFY_NO_PATH { "it has no path", "没有路径" }
    FIX_NOTIFY_URL {
        "Use the stack's output NotifyUrl: https, a public host, a path, and no query.",
        "请使用部署的输出 NotifyUrl：https、公网域名、有路径、不带参数。"
    }

    NOTIFY_REFUSES {
        "an unsigned notification is refused there with {status}, as it has to be",
        "未签名的通知被拒绝（{status}），这是对的"
    }
    NOTIFY_BELIEVES {
        "an unsigned notification is accepted there with {status}",
        "未签名的通知竟被接受（{status}）"
    }
    FIX_NOTIFY_BELIEVES {
        "Let notify_url lead to this backend: whatever answers there verifies no signature.",
        "让回调地址指向本后端：现在应答的程序没有验签。"
    }
    NOTIFY_REDIRECTS { "it redirects ({status}), which WeChat Pay does not follow", "返回跳转（{status}），微信支付不会跟随" }
    FIX_NOTIFY_REDIRECTS {
        "Use the address that it redirects to, with https.",
        "请直接使用跳转之后的 https 地址。"
    }
    NOTIFY_NOT_THERE { "nothing handles notifications at this path ({status})", "这个路径没有处理通知的程序（{status}）" }
    FIX_NOTIFY_NOT_THERE {
        "Use the whole output NotifyUrl, with its path /wechatpay/notify.",
        "请使用完整的输出 NotifyUrl，包括路径 /wechatpay/notify。"
    }
    NOTIFY_NO_SECRETS {
        "the function answers {status}: it cannot read its secrets wechatpay and apiv3",
        "函数返回 {status}：读不到密钥 wechatpay 和 apiv3"
    }
    NOTIFY_BROKEN { "it answers {status}", "返回 {status}" }
    FIX_NOTIFY_BROKEN {
        "Look into the log of notify-callback (wxpay logs).",
        "请查看 notify-callback 的日志（wxpay logs）。"
    }
    FIX_NOTIFY_SILENT {
        "See that the host's DNS record, its TLS certificate and the firewall let anybody in from the internet.",
        "请检查域名解析、TLS 证书和防火墙，确保公网可以访问。"
    }

    DOMAIN_LOCAL { "a local stack, for the developer tools", "本地环境，供开发者工具使用" }
    DOMAIN_LOCAL_FIX {
        "In the developer tools, switch off the check of domains (详情 → 本地设置 → 不校验合法域名).",
        "在开发者工具里勾选 详情 → 本地设置 → 不校验合法域名。"
    }
    DOMAIN_OF_AWS {
        "{host} is of AWS and has no ICP filing: no published mini-program may call it",
        "{host} 是 AWS 的域名，没有 ICP 备案，正式版小程序不能请求它"
    }
    FIX_DOMAIN {
        "Deploy with DomainName and CertificateArn of a host with an ICP filing.",
        "用已备案的域名部署（参数 DomainName 和 CertificateArn）。"
    }
    DOMAIN_OWN {
        "{host}; whether it is registered cannot be seen from here",
        "{host}；是否已登记，从这里看不到"
    }
    FIX_DOMAIN_REGISTER {
        "Register it as a request domain in the mini-program console: 开发管理 → 开发设置 → 服务器域名.",
        "在小程序后台 开发管理 → 开发设置 → 服务器域名 登记为 request 合法域名。"
    }

    FUNCTIONS_WORK {
        "the API answers, and its functions can read their secrets",
        "API 有应答，函数可以读取密钥"
    }
    FUNCTIONS_NOT_CONFIGURED {
        "the API answers not_configured: a function cannot use one of its secrets",
        "API 返回 not_configured：函数不能使用某个密钥"
    }
    FUNCTIONS_BROKEN { "the API answers {words}", "API 返回 {words}" }
    FIX_FUNCTIONS { "Look into the functions' log (wxpay logs).", "请查看函数日志（wxpay logs）。" }
    FIX_API_SILENT {
        "See that the stack is deployed and that output BaseUrl can be reached from here.",
        "请确认已经部署，并且从这里可以访问输出 BaseUrl。"
    }

    CLOCK_RIGHT { "within a second of WeChat Pay's", "与微信支付相差不到一秒" }
    CLOCK_AHEAD { "{seconds} seconds ahead of WeChat Pay's", "比微信支付快 {seconds} 秒" }
    CLOCK_BEHIND { "{seconds} seconds behind WeChat Pay's", "比微信支付慢 {seconds} 秒" }
    NO_DATE { "WeChat Pay's answer tells no time", "微信支付的应答里没有时间" }
    FIX_CLOCK {
        "Set this machine's clock by NTP: WeChat Pay refuses what is signed five minutes off.",
        "请用 NTP 校准本机时钟：相差五分钟以上，微信支付会拒绝签名。"
    }
    FIX_CLOCK_FIRST { "Set this machine's clock, then look again.", "请先校准本机时钟，再检查一次。" }

    SIGNATURE_ACCEPTED {
        "key, serial number and merchant number belong together ({words})",
        "私钥、序列号和商户号匹配（{words}）"
    }
    SIGNATURE_REFUSED { "WeChat Pay answers {words}", "微信支付返回 {words}" }
    FIX_SERIAL_REFUSED {
        "Use the serial number of the certificate that the private key belongs to; the platform lists them under 商户API证书.",
        "请使用与私钥配对的证书序列号；商户平台的“商户API证书”里可以查到。"
    }
    FIX_NO_APIV3 {
        "Set the APIv3 key in 商户平台 → 账户中心 → API安全: without it WeChat Pay answers nothing.",
        "在 商户平台 → 账户中心 → API安全 设置 APIv3 密钥，否则微信支付不受理请求。"
    }
    FIX_SIGNATURE {
        "Use the private key of the certificate with this serial number, and the number of the merchant that it was issued for.",
        "请使用这个序列号的证书所配对的私钥，并核对证书所属的商户号。"
    }
    NO_PERMISSION { "WeChat Pay answers {words}", "微信支付返回 {words}" }
    FIX_PERMISSION {
        "Open the product in 商户平台 → 产品中心, and look whether the account is restricted.",
        "在 商户平台 → 产品中心 开通对应产品，并查看账户是否受限。"
    }
    NOT_WECHAT_PAY { "an answer that is not WeChat Pay's ({words})", "应答不是微信支付的（{words}）" }
    FIX_NOT_WECHAT_PAY {
        "See what stands between this machine and api.mch.weixin.qq.com.",
        "请检查本机与 api.mch.weixin.qq.com 之间是否有代理。"
    }
    BUSY { "no verdict: {words}", "无法判断：{words}" }
    AGAIN { "Run it again in a minute.", "请一分钟后再试。" }

    ANSWER_HOLDS { "it holds with {serial}", "用 {serial} 验签通过" }
    ANSWER_UNSIGNED_401 {
        "WeChat Pay does not sign a 401",
        "微信支付的 401 应答不带签名"
    }
    ANSWER_UNSIGNED { "the answer is not signed", "应答没有签名" }
    FIX_UNSIGNED {
        "See whether a proxy or firewall takes the headers Wechatpay-… away.",
        "请检查是否有代理或防火墙去掉了 Wechatpay-… 响应头。"
    }
    ANSWER_STALE {
        "it was signed five minutes off, by this machine's clock",
        "按本机时钟，签名时间相差五分钟以上"
    }
    ANSWER_BROKEN {
        "WeChat Pay signed with {serial}, and the signature does not hold with the stored key of this id",
        "微信支付用 {serial} 签名，但用保存的这个公钥验签失败"
    }
    ANSWER_NO_KEY {
        "WeChat Pay signed with {serial}, and there is no key to verify with",
        "微信支付用 {serial} 签名，但没有可用来验签的公钥"
    }
    ANSWER_BY_CERTIFICATE {
        "WeChat Pay signed with platform certificate {serial}, and it is not held",
        "微信支付用平台证书 {serial} 签名，但没有这张证书"
    }
    FIX_BY_CERTIFICATE {
        "Deploy with PlatformCertificates=on, or finish the change to the public key on the merchant platform.",
        "用 PlatformCertificates=on 部署，或在商户平台完成切换到微信支付公钥。"
    }
    ANSWER_BY_OTHER {
        "WeChat Pay signed with {serial}, and the stored id is {id}",
        "微信支付用 {serial} 签名，而保存的公钥 ID 是 {id}"
    }
    FIX_ID_ANSWERED {
        "Store {serial} as public_key_id, with its pub_key.pem.",
        "把 public_key_id 改为 {serial}，并保存对应的 pub_key.pem。"
    }

    APIV3_OPENED { "it opens WeChat Pay's platform certificates", "能解密微信支付平台证书" }
    APIV3_OPENED_NOT {
        "it does not open what WeChat Pay seals: it is another key, such as the older API key (APIv2) or an earlier APIv3 key",
        "不能解密微信支付的数据：这是别的密钥，例如旧的 API 密钥（APIv2）或以前的 APIv3 密钥"
    }
    FIX_APIV3_OTHER {
        "Store what was last set under 商户平台 → 账户中心 → API安全 → APIv3密钥; if nobody knows it, set a new one there.",
        "请保存 商户平台 → 账户中心 → API安全 → APIv3密钥 里最近一次设置的内容；不清楚就在那里重新设置。"
    }
    APIV3_NOTHING_SEALED {
        "this merchant has no platform certificates, and nothing else that is sealed can be asked for",
        "该商户没有平台证书，没有别的加密数据可以用来试解"
    }
    APIV3_LATER {
        "The first notification tells: pay one fen and see it settled (docs/operations.md, First deployment, step 7).",
        "看第一条通知：支付一分钱，确认订单已结清（docs/operations.zh-CN.md，“首次部署”第 7 步）。"
    }

    ORDER_PLACED {
        "WeChat Pay took an order of one fen that nobody can pay",
        "微信支付接受了一笔无人能付的一分钱订单"
    }
    ORDER_LEFT_OPEN {
        "it could not be closed again, and ends by itself",
        "没能关单，会自动过期"
    }
    ORDER_REFUSED { "WeChat Pay answers {words}", "微信支付返回 {words}" }
    FIX_BINDING {
        "Bind the appid to the merchant number: 商户平台 → 产品中心 → AppID账号管理, and confirm it in the mini-program console.",
        "把 AppID 与商户号绑定：商户平台 → 产品中心 → AppID账号管理，并在小程序后台确认。"
    }
    CHECK_BINDING {
        "See for yourself whether 商户平台 → 产品中心 → AppID账号管理 lists this appid.",
        "请到 商户平台 → 产品中心 → AppID账号管理 查看是否有这个 AppID。"
    }

    ERRCODE { "WeChat answers {told}", "微信返回 {told}" }
    APP_ACCEPTED {
        "WeChat knows the appid and takes its AppSecret",
        "微信认可这个 AppID 和 AppSecret"
    }
    FIX_APP_RESTRICTED {
        "The mini-program is restricted: see the messages in its console.",
        "小程序被限制，请查看小程序后台的通知。"
    }
    NOT_MANAGED {
        "the mini-program owes WeChat no shipping information now",
        "该小程序目前不需要上传发货信息"
    }
    MANAGED_AND_CONFIRMED {
        "under the rule, and the administrator has confirmed: report shipping within 48 hours of each payment",
        "已纳入发货信息管理，管理员也已确认：每笔支付后 48 小时内上传发货信息"
    }
    MANAGED_UNCONFIRMED {
        "under the rule, and the administrator has not confirmed: payments may be refused",
        "已纳入发货信息管理，但管理员尚未确认：支付可能被拒绝"
    }
    FIX_UNCONFIRMED {
        "Let the super administrator confirm 《小程序交易结算管理要求确认通知》 in WeChat.",
        "请超级管理员在微信里确认《小程序交易结算管理要求确认通知》。"
    }
    FIX_IP_LIST {
        "Add this machine's address to 开发设置 → IP白名单, or ask from one that is on it.",
        "把本机 IP 加入 开发设置 → IP白名单，或换到白名单里的机器上检查。"
    }
    SEE_APP_LOGIN { "Mend appid and AppSecret first.", "请先处理 AppID 和 AppSecret 的问题。" }
    ASK_TRADE_MANAGEMENT {
        "See in the mini-program console whether 发货信息管理 is on.",
        "请在小程序后台查看“发货信息管理”是否开启。"
    }

    STACK_FOUND { "{stack} is there", "已找到 {stack}" }
    STACK_LOCAL { "the local stack", "本地环境" }
    STACK_FAR {
        "far from WeChat Pay: ap-southeast-1 and ap-east-1 are near",
        "离微信支付较远：ap-southeast-1 和 ap-east-1 较近"
    }
    STACK_UNFOUND { "{why}", "没能找到或读取：{why}" }
    FIX_STACK {
        "Name the stack (--stack, --region) with AWS credentials that may describe it, start one here (wxpay up), or give a folder (--from).",
        "请用 --stack、--region 指定部署，并使用有权限的 AWS 凭证；或在本机启动（wxpay up）；或用 --from 指定文件夹。"
    }
    SEE_STACK { "Find the stack first.", "请先找到部署。" }
    ALL_READ { "all that is needed", "所需内容都能读取" }
    DENIED { "{what}: {action} is denied", "{what}：没有 {action} 权限" }
    EMPTY { "{what}: it has no value yet", "{what}：还没有值" }
    FAILED { "{what}: {code}", "{what}：{code}" }
    FIX_DENIED {
        "Allow these actions to whoever looks (docs/operations.md, Permissions).",
        "请给检查者这些权限（docs/operations.zh-CN.md，“权限”）。"
    }
    FIX_EMPTY {
        "Fill the secrets with wxpay secrets put, or as docs/operations.md (First deployment, step 4) shows.",
        "用 wxpay secrets put 填写密钥，或按 docs/operations.zh-CN.md（“首次部署”第 4 步）操作。"
    }

    UNREACHABLE {
        "no connection can be made (name, port, firewall or TLS)",
        "无法连接（域名、端口、防火墙或 TLS）"
    }
    TIMED_OUT { "no answer came in time", "没有在限定时间内应答" }
    BROKEN { "the answer broke off", "应答中断" }
    FIX_NETWORK {
        "See whether this machine may reach WeChat's hosts over https, then look again.",
        "请确认本机可以通过 https 访问微信的域名，再检查一次。"
    }

    VIRTUAL_GOODS_RULE {
        "since 2026-04-01 virtual goods in a mini-program must be paid by 虚拟支付 (wx.requestVirtualPayment), which this is not",
        "自 2026-04-01 起，小程序内的虚拟商品必须使用虚拟支付（wx.requestVirtualPayment），本后端不是"
    }
    VIRTUAL_GOODS_FIX {
        "Sell only physical goods and services with it.",
        "请只用它销售实物商品和服务。"
    }
}
