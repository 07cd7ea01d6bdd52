// Every text of the page, in English and Chinese. What a function or WeChat Pay answers is shown as it is.

const en = {
  other_language: "中文", other_lang: "zh-CN",
  skip: "Skip to what really happens",
  title: "The stack on this machine",
  simulated: "WeChat Pay is simulated: it is not WeChat Pay, and no money moves.",
  business_time: "Business time (Beijing)",
  move_minute: "+1 min", move_minutes: "+10 min", move_hours: "+2 h", move_day: "+1 day",
  moved: "Business time moved on. Signatures keep real time.",
  ahead: "{span} ahead",
  days: "{n} d", hours: "{n} h", minutes: "{n} min", seconds: "{n} s",
  whole_phone: "Open the phone",
  silent: "The stack does not answer; it may have been stopped.",
  balanced: "The books balance.",
  unbalanced_one: "The books do not balance: 1 difference.",
  unbalanced: "The books do not balance: {n} differences.",
  sums: "Taken {paid}, given back {refunded}, kept {kept}.",
  sums_differ: "Kept {kept} here, {there} at WeChat Pay.",

  shop: "Shop", how_to_pay: "How it is paid", in_app: "Mini-program", at_desk: "At a desk",
  no_articles: "Nothing is on sale.", total: "Total", buy: "Buy", show_code: "Show code",
  less: "One {what} less", one_more: "One {what} more", how_many: "{n} in the basket",
  nothing_chosen: "Put something into the basket first.",
  payer: "Payer", other_payer: "Somebody else",
  till_waits: "Scan to pay", till_paid: "Paid. Thank you!", till_gone: "The code is no longer valid.",
  code_of: "QR code of order {number}", next_customer: "Next customer",
  orders: "Orders", no_orders: "None yet: buy something.",
  ordered: "Ordered {number}; it waits on the phone.", till_ordered: "Ordered {number}; the code is on the screen.",
  ask_refund: "Ask for a refund", give_refund: "Refund", story: "Timeline", of: "{what} {number}",
  asked_refund: "Asked. The request waits for the merchant’s decision.", gave_refund: "The refund is on its way.",
  needs_human: "needs a person",

  phone: "The payer’s phone", phone_bar: "WeChat Pay, simulated",
  phone_idle: "Nothing to pay. What is bought in the shop, or with the API, appears here.",
  phone_waiting: "Waiting to be paid", scan: "Scan the code", open_payment: "Open",
  pay: "Pay", cancel: "Cancel", fails: "Payment fails", done: "Done", paid: "Payment successful",
  checks_signature: "The phone checks the signature of the five fields that the mini-program handed it.",
  checks_code: "The phone checks that the code is the newest one of its order and still valid.",
  checks_nothing: "Opened from the list: the phone checks that the order can still be paid, and no signature.",
  told_by_notice: "WeChat Pay tells the shop by a signed notification.",
  told_cancelled: "Cancelled; the order can still be paid.", told_failed: "The payment failed; it can be tried again.",
  lose_notice: "Lose the next notification",
  will_lose: "The next notification will never arrive. The books will differ until somebody asks WeChat Pay: the sweep, or GET on the order.",

  waiting: "Refunds that wait for you", approve: "Approve", reject: "Reject", retry: "Send again", withdraw: "Withdraw",
  asked_by_payer: "asked for by the payer", asked_by_merchant: "by the merchant", no_reason: "no reason given",
  told_approve: "Approved; it is being sent to WeChat Pay.", told_reject: "Rejected.",
  told_retry: "It is being sent again.", told_withdraw: "Nothing is sent any more; WeChat Pay is asked whether it knows it.",
  refund_of: "refund of", stuck: "WeChat Pay refused it: {why}",

  happened: "What really happens", timeline: "What really happens", books: "Both books", terminal: "In a terminal",
  find: "Find", find_hint: "Find a number, a path, a state …", kinds: "Show",
  kind_api: "API", kind_wechatpay: "To WeChat Pay", kind_notice: "Notification", kind_table: "Table", kind_event: "Event",
  nothing_yet: "Nothing yet. Buy something, and every request, notification, change of an item and event appears here.",
  nothing_fits: "Nothing fits.", show_more: "Show more", shown_of: "{n} of {total}",
  story_title: "Timeline of", whole_story: "Show everything", oldest_first: "oldest first",
  no_answer: "no answer", lost: "lost", headers_one: "1 header", headers: "{n} headers",
  request: "Request", answer: "Answer", opened: "Opened resource", signed_request: "Text that the merchant signed",
  signed_answer: "Text that WeChat Pay signed", signed_notice: "Text that WeChat Pay signed", signed_pay: "Text that the merchant signed for the phone", no_body: "no body",
  not_opened: "It does not open with the merchant’s APIv3 key.", cut: "… {n} more characters",
  attribute: "Attribute", before: "Before", after: "After", unchanged_one: "1 unchanged attribute", unchanged: "{n} unchanged attributes",
  created: "new", changed_some: "{n} changed", changed_one: "1 changed", removed: "removed", nothing: "absent",
  change_new: "new", change_gone: "gone", change_other: "changed",
  item_order: "Order", item_refund: "Refund", item_guard: "Guard of a refund’s number", item_notice: "Evidence",
  item_article: "Article", item_keys: "Certificates", only_this: "Timeline of {number}",
  why: "Why", fault: "fault {name}", event: "Event", lost_on_the_way: "This notification never arrived.",
  envelope: "Envelope, as rules’ targets get it", gone: "It is not kept any more.",

  order: "Order", amount: "Amount", here: "Here", there: "At WeChat Pay", no_books: "No orders yet: buy something.",
  not_known: "not known", newest_of: "The newest {n} of {total}.", refund: "refund",
  differs_amount: "The amounts differ: {there} at WeChat Pay.",
  differs_unknown_here: "WeChat Pay has it, the table does not.",
  differs_unknown_there: "The table has it, WeChat Pay does not.",
  differs_done_there_order: "It is paid at WeChat Pay, and nobody here knows yet.",
  differs_done_here_order: "It is paid here, and not at WeChat Pay.",
  differs_done_there: "It is refunded at WeChat Pay, and nobody here knows yet.",
  differs_done_here: "It is refunded here, and not at WeChat Pay.",
  differs_state: "It ended otherwise at WeChat Pay.",
  differs_own_sum: "What can be refunded and what refunds hold do not make the total.",

  amount_yuan: "Amount in yuan", reason: "Reason", leave: "Leave it",
  ask_title: "Ask for a refund of {number}", ask_says: "As the payer. The merchant approves or rejects it.",
  give_title: "Refund {number}", give_says: "As the merchant. It is sent to WeChat Pay at once.",
  bad_amount: "An amount like 3.00, at most {most}.",

  try_it: "Try it in a terminal", places_title: "Where things are", copy: "Copy", copied: "Copied", copy_what: "Copy: {what}",
  step_key: "The merchant’s API key, from the stack’s folder:",
  step_order: "Place an order. The answer ends with its QR code as a picture, which is cut off here:",
  step_pay: "Pay it, here or with a press on the phone. WeChat Pay tells the API by a signed notification:",
  step_ask: "Ask for it:", step_refund: "Refund it:",
  place_api: "The API", place_phone: "The phone", place_wechatpay: "WeChat Pay, simulated", place_aws: "Table and secrets, for AWS tools",
  place_file: "Addresses and the merchant’s API key", place_log: "What the functions log", place_keys: "The merchant’s keys",
  place_events: "Events", place_merchant: "Merchant and app",
};

const zh = {
  other_language: "English", other_lang: "en",
  skip: "跳到实际发生的事",
  title: "本机上的整套服务",
  simulated: "微信支付是模拟的：这不是微信支付，不会有真实的资金流动。",
  business_time: "业务时间（北京）",
  move_minute: "+1 分钟", move_minutes: "+10 分钟", move_hours: "+2 小时", move_day: "+1 天",
  moved: "业务时间已前移，签名仍用真实时间。",
  ahead: "快 {span}",
  days: "{n} 天", hours: "{n} 小时", minutes: "{n} 分钟", seconds: "{n} 秒",
  whole_phone: "打开手机页面",
  silent: "服务没有应答，可能已经停止。",
  balanced: "账目相符。",
  unbalanced_one: "账目不符：1 处差异。",
  unbalanced: "账目不符：{n} 处差异。",
  sums: "收款 {paid}，退款 {refunded}，净收 {kept}。",
  sums_differ: "本地净收 {kept}，微信支付净收 {there}。",

  shop: "商店", how_to_pay: "支付方式", in_app: "小程序支付", at_desk: "柜台扫码",
  no_articles: "没有在售商品。", total: "合计", buy: "购买", show_code: "出示收款码",
  less: "减少一份{what}", one_more: "增加一份{what}", how_many: "已选 {n} 份",
  nothing_chosen: "请先选择商品。",
  payer: "付款人", other_payer: "换一个人",
  till_waits: "请扫码支付", till_paid: "已支付，谢谢惠顾！", till_gone: "收款码已失效。",
  code_of: "订单 {number} 的二维码", next_customer: "下一位",
  orders: "订单", no_orders: "还没有订单，先买点什么吧。",
  ordered: "已下单 {number}，请在手机上支付。", till_ordered: "已下单 {number}，收款码已显示。",
  ask_refund: "申请退款", give_refund: "退款", story: "时间线", of: "{what} {number}",
  asked_refund: "已申请，等待商户处理。", gave_refund: "退款处理中。",
  needs_human: "需要人工处理",

  phone: "付款人的手机", phone_bar: "微信支付（模拟）",
  phone_idle: "没有待支付的订单。在商店购买或用 API 下单后，会显示在这里。",
  phone_waiting: "待支付", scan: "扫一扫", open_payment: "打开",
  pay: "支付", cancel: "取消", fails: "支付失败", done: "完成", paid: "支付成功",
  checks_signature: "手机会校验小程序传来的五个字段的签名。",
  checks_code: "手机会校验二维码是该订单最新的，并且仍然有效。",
  checks_nothing: "从列表打开：手机只检查订单仍可支付，不校验签名。",
  told_by_notice: "微信支付会用带签名的回调通知商户。",
  told_cancelled: "已取消，订单仍可支付。", told_failed: "支付失败，可以重试。",
  lose_notice: "丢弃下一条通知",
  will_lose: "下一条通知将永远不会送达。在有人向微信支付查询之前（巡检任务，或 GET 该订单），账目会不一致。",

  waiting: "等待你处理的退款", approve: "同意", reject: "拒绝", retry: "重新发送", withdraw: "撤回",
  asked_by_payer: "付款人申请", asked_by_merchant: "商户发起", no_reason: "未填写原因",
  told_approve: "已同意，正在提交微信支付。", told_reject: "已拒绝。",
  told_retry: "正在重新发送。", told_withdraw: "不再发送，正在向微信支付查询是否已受理。",
  refund_of: "退款，订单", stuck: "微信支付拒绝了它：{why}",

  happened: "实际发生的事", timeline: "实际发生的事", books: "双方账目", terminal: "命令行",
  find: "查找", find_hint: "查找单号、路径、状态……", kinds: "显示",
  kind_api: "API", kind_wechatpay: "请求微信支付", kind_notice: "回调通知", kind_table: "数据表", kind_event: "事件",
  nothing_yet: "还没有记录。买点什么，每个请求、通知、数据项的变化和事件都会显示在这里。",
  nothing_fits: "没有符合条件的记录。", show_more: "显示更多", shown_of: "{n} / {total}",
  story_title: "时间线：", whole_story: "显示全部", oldest_first: "从早到晚",
  no_answer: "无应答", lost: "已丢失", headers_one: "1 个头部字段", headers: "{n} 个头部字段",
  request: "请求", answer: "应答", opened: "解密后的资源", signed_request: "商户签名的原文",
  signed_answer: "微信支付签名的原文", signed_notice: "微信支付签名的原文", signed_pay: "商户为手机支付签名的原文", no_body: "无正文",
  not_opened: "用商户的 APIv3 密钥无法解密。", cut: "……还有 {n} 个字符",
  attribute: "属性", before: "之前", after: "之后", unchanged_one: "1 个未变的属性", unchanged: "{n} 个未变的属性",
  created: "新建", changed_some: "{n} 项变化", changed_one: "1 项变化", removed: "已删除", nothing: "无",
  change_new: "新增", change_gone: "移除", change_other: "变化",
  item_order: "订单", item_refund: "退款", item_guard: "退款单号占位", item_notice: "留存的证据",
  item_article: "商品", item_keys: "平台证书", only_this: "{number} 的时间线",
  why: "原因", fault: "故障 {name}", event: "事件", lost_on_the_way: "这条通知没有送达。",
  envelope: "规则目标收到的完整事件", gone: "已不再保留。",

  order: "订单", amount: "金额", here: "本地", there: "微信支付", no_books: "还没有订单，先买点什么吧。",
  not_known: "无记录", newest_of: "共 {total} 笔，显示最新 {n} 笔。", refund: "退款",
  differs_amount: "金额不一致：微信支付为 {there}。",
  differs_unknown_here: "微信支付有记录，本地没有。",
  differs_unknown_there: "本地有记录，微信支付没有。",
  differs_done_there_order: "微信支付已收款，本地尚不知道。",
  differs_done_here_order: "本地显示已支付，微信支付没有收款。",
  differs_done_there: "微信支付已退款，本地尚不知道。",
  differs_done_here: "本地显示已退款，微信支付没有退款。",
  differs_state: "微信支付的结果与本地不同。",
  differs_own_sum: "可退金额与退款占用的金额之和不等于订单总额。",

  amount_yuan: "金额（元）", reason: "原因", leave: "放弃",
  ask_title: "申请退款 {number}", ask_says: "以付款人身份申请，由商户同意或拒绝。",
  give_title: "退款 {number}", give_says: "以商户身份退款，立即提交微信支付。",
  bad_amount: "请输入金额，例如 3.00，最多 {most}。",

  try_it: "在命令行里试试", places_title: "各项地址", copy: "复制", copied: "已复制", copy_what: "复制：{what}",
  step_key: "商户的 API 密钥，在数据目录里：",
  step_order: "下单。应答末尾是二维码图片，这里截掉：",
  step_pay: "支付，也可以在手机上点击。微信支付会用带签名的回调通知 API：",
  step_ask: "查询：", step_refund: "退款：",
  place_api: "API", place_phone: "手机页面", place_wechatpay: "微信支付（模拟）", place_aws: "数据表和密钥，供 AWS 工具使用",
  place_file: "地址和商户的 API 密钥", place_log: "函数日志", place_keys: "商户的密钥文件",
  place_events: "事件", place_merchant: "商户号和 appid",
};

export const WORDS = { en, zh };

const KEPT = "wxpay-language";
const remembered = localStorage.getItem(KEPT);
let language = remembered ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

export const inChinese = () => language === "zh";

/** The text of this name, with its places filled. */
export function word(name, places = {}) {
  const text = WORDS[language][name];
  if (text === undefined) throw new Error(`no text is named ${name}`);
  return text.replace(/\{(\w+)\}/g, (_, place) => places[place]);
}

/** Writes the texts that stand in the page itself. */
export function writeWords() {
  document.documentElement.lang = inChinese() ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
  for (const element of document.querySelectorAll("[data-word-placeholder]")) element.placeholder = word(element.dataset.wordPlaceholder);
  for (const element of document.querySelectorAll("[data-word-label]")) element.setAttribute("aria-label", word(element.dataset.wordLabel));
}

export function switchLanguage() {
  language = inChinese() ? "en" : "zh";
  localStorage.setItem(KEPT, language);
}
