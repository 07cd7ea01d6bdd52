// The suite drives the simulator with the official Go SDK as it comes from the module proxy:
// go run . DATA_FOLDER. The folder is that of a running simulator; ../run starts one.
//
// The SDK names WeChat Pay's host in its code and takes an HTTP client, whose transport sends
// everything to the simulator instead. The checks build on each other, top to bottom.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/consts"
	"github.com/wechatpay-apiv3/wechatpay-go/core/downloader"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/app"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/h5"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/jsapi"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/native"
	"github.com/wechatpay-apiv3/wechatpay-go/services/refunddomestic"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"
)

var (
	ctx      = context.Background()
	folder   = os.Args[1]
	merchant struct {
		BaseURL     string `json:"base_url"`
		ControlURL  string `json:"control_url"`
		TLSURL      string `json:"tls_url"`
		CAFile      string `json:"ca_file"`
		Mchid       string
		Appid       string
		SerialNo    string `json:"serial_no"`
		APIv3Key    string `json:"apiv3_key"`
		PublicKeyID string `json:"public_key_id"`
	}
)

// check says what holds, or what does not and why, and then stops.
func check(what string, body func()) {
	defer func() {
		if why := recover(); why != nil {
			fmt.Printf("  FAILED  %s\n", what)
			fmt.Fprintln(os.Stderr, why)
			os.Exit(1)
		}
		fmt.Printf("  ok      %s\n", what)
	}()
	body()
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// answered takes what the SDK's services return.
func answered[T any](value T, _ *core.APIResult, err error) T {
	return must(value, err)
}

func ok(err error) {
	must(0, err)
}

func expect(holds bool, seen ...any) {
	if !holds {
		panic(fmt.Sprintf("not as expected: %+v", seen))
	}
}

// toSimulator sends what is meant for WeChat Pay's host to the simulator.
type toSimulator struct{ base *url.URL }

func (t toSimulator) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Scheme, request.URL.Host, request.Host = t.base.Scheme, t.base.Host, ""
	return http.DefaultTransport.RoundTrip(request)
}

// control makes a control call; with a body it is a POST.
func control(path string, body any, status int) map[string]any {
	var response *http.Response
	if body == nil {
		response = must(http.Get(merchant.ControlURL + path))
	} else {
		sent := bytes.NewReader(must(json.Marshal(body)))
		response = must(http.Post(merchant.ControlURL+path, consts.ApplicationJSON, sent))
	}
	defer response.Body.Close()
	text := must(io.ReadAll(response.Body))
	expect(response.StatusCode == status, path, response.Status, string(text))
	said := map[string]any{}
	expect(json.Unmarshal(text, &said) == nil, path, string(text))
	return said
}

type notice struct {
	headers http.Header
	body    []byte
	request *notify.Request
	content map[string]any
	err     error
}

// receiver is the merchant's notify_url: what the SDK thinks of a notice is the answer.
type receiver struct {
	url     string
	handler *notify.Handler
	arrived chan notice
}

func listen() *receiver {
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	self := &receiver{
		url:     fmt.Sprintf("http://%s/notify", listener.Addr()),
		arrived: make(chan notice, 16),
	}
	go http.Serve(listener, self)
	return self
}

func (r *receiver) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	seen := notice{headers: request.Header, body: must(io.ReadAll(request.Body))}
	seen.request, seen.content, seen.err = r.open(seen.headers, seen.body)
	if seen.err != nil {
		answer.WriteHeader(http.StatusUnauthorized)
	} else {
		answer.WriteHeader(http.StatusNoContent)
	}
	r.arrived <- seen
}

func (r *receiver) open(headers http.Header, body []byte) (*notify.Request, map[string]any, error) {
	request := must(http.NewRequest(http.MethodPost, r.url, bytes.NewReader(body)))
	request.Header = headers
	content := map[string]any{}
	opened, err := r.handler.ParseNotifyRequest(ctx, request, &content)
	return opened, content, err
}

func (r *receiver) next() notice {
	select {
	case seen := <-r.arrived:
		return seen
	case <-time.After(10 * time.Second):
		panic("no notice within ten seconds")
	}
}

func main() {
	text := must(os.ReadFile(filepath.Join(folder, "merchant.json")))
	ok(json.Unmarshal(text, &merchant))
	privateKey := must(utils.LoadPrivateKeyWithPath(filepath.Join(folder, "apiclient_key.pem")))
	publicKey := must(utils.LoadPublicKeyWithPath(filepath.Join(folder, "pub_key.pem")))
	simulator := &http.Client{Transport: toSimulator{must(url.Parse(merchant.BaseURL))}}
	client := func(key *rsa.PrivateKey) *core.Client {
		return must(core.NewClient(ctx,
			option.WithWechatPayPublicKeyAuthCipher(
				merchant.Mchid, merchant.SerialNo, key, merchant.PublicKeyID, publicKey),
			option.WithHTTPClient(simulator),
		))
	}
	wxpay := client(privateKey)
	// For bills, which come unsigned, and for the first certificates.
	trusting := must(core.NewClient(ctx,
		option.WithMerchantCredential(merchant.Mchid, merchant.SerialNo, privateKey),
		option.WithoutValidator(), option.WithHTTPClient(simulator)))
	notices := listen()
	notices.handler = must(notify.NewRSANotifyHandler(merchant.APIv3Key,
		verifiers.NewSHA256WithRSAPubkeyVerifier(merchant.PublicKeyID, *publicKey)))

	jsapiService := jsapi.JsapiApiService{Client: wxpay}
	appService := app.AppApiService{Client: wxpay}
	nativeService := native.NativeApiService{Client: wxpay}
	h5Service := h5.H5ApiService{Client: wxpay}
	refunds := refunddomestic.RefundsApiService{Client: wxpay}
	str, fen := core.String, core.Int64
	openid := control("/_sim/codes", map[string]any{}, 200)["openid"].(string)

	var forPage *jsapi.PrepayWithRequestPaymentResponse
	var forApp *app.PrepayWithRequestPaymentResponse
	var codeURL, h5URL string
	var kept notice
	var paid *payments.Transaction
	var day string

	order := func(number string) native.PrepayRequest {
		return native.PrepayRequest{
			Appid: &merchant.Appid, Mchid: &merchant.Mchid, Description: str("咖啡 ☕"),
			OutTradeNo: str(number), NotifyUrl: &notices.url,
			Amount: &native.Amount{Total: fen(100), Currency: str("CNY")},
		}
	}
	query := func(service jsapi.JsapiApiService, number string) (*payments.Transaction, error) {
		transaction, _, err := service.QueryOrderByOutTradeNo(ctx, jsapi.QueryOrderByOutTradeNoRequest{
			OutTradeNo: &number, Mchid: &merchant.Mchid,
		})
		return transaction, err
	}

	check("orders by jsapi, native, h5 and app", func() {
		forPage = answered(jsapiService.PrepayWithRequestPayment(ctx, jsapi.PrepayRequest{
			Appid: &merchant.Appid, Mchid: &merchant.Mchid, Description: str("咖啡 ☕"),
			OutTradeNo: str("order-jsapi"), NotifyUrl: &notices.url,
			Amount: &jsapi.Amount{Total: fen(100)}, Payer: &jsapi.Payer{Openid: &openid},
			TimeExpire: core.Time(time.Now().Add(time.Hour)),
		}))
		forApp = answered(appService.PrepayWithRequestPayment(ctx, app.PrepayRequest{
			Appid: &merchant.Appid, Mchid: &merchant.Mchid, Description: str("咖啡 ☕"),
			OutTradeNo: str("order-app"), NotifyUrl: &notices.url,
			Amount: &app.Amount{Total: fen(100)},
		}))
		byCode := answered(nativeService.Prepay(ctx, order("order-native")))
		byLink := answered(h5Service.Prepay(ctx, h5.PrepayRequest{
			Appid: &merchant.Appid, Mchid: &merchant.Mchid, Description: str("咖啡 ☕"),
			OutTradeNo: str("order-h5"), NotifyUrl: &notices.url,
			Amount: &h5.Amount{Total: fen(100)},
			SceneInfo: &h5.SceneInfo{
				PayerClientIp: str("127.0.0.1"), H5Info: &h5.H5Info{Type: str("Wap")},
			},
		}))
		codeURL, h5URL = *byCode.CodeUrl, *byLink.H5Url
		expect(strings.HasPrefix(*forPage.PrepayId, "wx"), forPage)
		expect(strings.HasPrefix(*forApp.PrepayId, "wx"), forApp)
		expect(strings.HasPrefix(codeURL, "weixin://wxpay/bizpayurl"), codeURL)
		expect(strings.HasPrefix(h5URL, "https://wx.tenpay.com/"), h5URL)
	})

	check("the phone takes what the SDK signed for wx.requestPayment and PayReq", func() {
		pay := map[string]any{
			"timeStamp": forPage.TimeStamp, "nonceStr": "other", "package": forPage.Package,
			"signType": forPage.SignType, "paySign": forPage.PaySign,
		}
		refused := control("/_sim/orders/order-jsapi/pay", map[string]any{"pay": pay}, 409)
		expect(refused["code"] == "BAD_PAY_SIGN", refused)
		pay["nonceStr"] = forPage.NonceStr
		control("/_sim/orders/order-jsapi/pay", map[string]any{"pay": pay, "openid": openid}, 200)
		control("/_sim/orders/order-app/pay", map[string]any{"app": map[string]any{
			"appId": merchant.Appid, "partnerId": forApp.PartnerId, "prepayId": forApp.PrepayId,
			"packageValue": forApp.Package, "nonceStr": forApp.NonceStr,
			"timeStamp": forApp.TimeStamp, "sign": forApp.Sign,
		}}, 200)
		control("/_sim/orders/order-native/pay", map[string]any{"code_url": codeURL}, 200)
	})

	check("the SDK verifies and opens the notices of the payments", func() {
		for range 3 {
			seen := notices.next()
			ok(seen.err)
			expect(seen.request.EventType == "TRANSACTION.SUCCESS", seen.request)
			if seen.content["out_trade_no"] == "order-jsapi" {
				kept, paid = seen, new(payments.Transaction)
			}
		}
		ok(json.Unmarshal([]byte(kept.request.Resource.Plaintext), paid))
		expect(*paid.Amount.Total == 100 && *paid.Payer.Openid == openid, paid)
		expect(kept.headers.Get(consts.WechatPaySerial) == merchant.PublicKeyID, kept.headers)
	})

	check("the SDK refuses a tampered notice", func() {
		body := bytes.Replace(kept.body, []byte("SUCCESS"), []byte("SUCCES5"), 1)
		_, _, err := notices.open(kept.headers, body)
		expect(err != nil && strings.Contains(err.Error(), "verify fail"), err)
		headers := kept.headers.Clone()
		headers.Set(consts.WechatPayNonce, "other")
		_, _, err = notices.open(headers, kept.body)
		expect(err != nil && strings.Contains(err.Error(), "verify fail"), err)
	})

	check("a forged notice that comes first is refused, the genuine one after it is taken", func() {
		fault := map[string]any{"name": "notice_bad_signature", "count": 1, "out_trade_no": "order-h5"}
		control("/_sim/faults", fault, 200)
		control("/_sim/orders/order-h5/pay", map[string]any{"h5_url": h5URL}, 200)
		expect(notices.next().err != nil, "a forged notice was taken")
		control("/_sim/clock", map[string]any{"advance_s": 15}, 200)
		seen := notices.next()
		expect(seen.err == nil && seen.content["out_trade_no"] == "order-h5", seen)
	})

	check("queries by both ids", func() {
		byNumber := must(query(jsapiService, "order-jsapi"))
		expect(*byNumber.TradeState == "SUCCESS", byNumber)
		byID := answered(jsapiService.QueryOrderById(ctx, jsapi.QueryOrderByIdRequest{
			TransactionId: paid.TransactionId, Mchid: &merchant.Mchid,
		}))
		expect(byID.String() == byNumber.String(), byID, byNumber)
		_, err := query(jsapiService, "order-unknown")
		expect(core.IsAPIError(err, "ORDER_NOT_EXIST"), err)
	})

	check("closing an order", func() {
		answered(nativeService.Prepay(ctx, order("order-close")))
		closed := must(nativeService.CloseOrder(ctx, native.CloseOrderRequest{
			OutTradeNo: str("order-close"), Mchid: &merchant.Mchid,
		}))
		expect(closed.Response.StatusCode == http.StatusNoContent, closed.Response.Status)
		expect(*must(query(jsapiService, "order-close")).TradeState == "CLOSED")
	})

	check("a refund, its query and its notice", func() {
		refund := answered(refunds.Create(ctx, refunddomestic.CreateRequest{
			TransactionId: paid.TransactionId, OutRefundNo: str("refund-1"), Reason: str("凉了"),
			NotifyUrl: &notices.url,
			Amount: &refunddomestic.AmountReq{
				Refund: fen(40), Total: fen(100), Currency: str("CNY"),
			},
		}))
		expect(*refund.Status == refunddomestic.STATUS_PROCESSING, refund)
		day = refund.CreateTime.Format(time.DateOnly)
		control("/_sim/refunds/refund-1/complete", map[string]any{}, 200)
		queried := answered(refunds.QueryByOutRefundNo(ctx, refunddomestic.QueryByOutRefundNoRequest{
			OutRefundNo: str("refund-1"),
		}))
		expect(*queried.Status == refunddomestic.STATUS_SUCCESS, queried)
		seen := notices.next()
		ok(seen.err)
		expect(seen.request.EventType == "REFUND.SUCCESS", seen.request)
		expect(seen.content["amount"].(map[string]any)["refund"] == 40.0, seen.content)
	})

	check("a trade bill, plain and GZIP, whose hash fits", func() {
		// Ten in the morning of the next day is past.
		control("/_sim/clock", map[string]any{"advance_s": 34 * 3600}, 200)
		for _, packing := range []string{"", "&tar_type=GZIP"} {
			path := "/v3/bill/tradebill?bill_date=" + day + packing
			applied := must(wxpay.Get(ctx, consts.WechatPayAPIServer+path))
			var offer struct {
				DownloadURL string `json:"download_url"`
				HashValue   string `json:"hash_value"`
			}
			ok(core.UnMarshalResponse(applied.Response, &offer))
			file := io.Reader(must(trusting.Get(ctx, offer.DownloadURL)).Response.Body)
			if packing != "" {
				file = must(gzip.NewReader(file))
			}
			csv := must(io.ReadAll(file))
			expect(fmt.Sprintf("%x", sha1.Sum(csv)) == offer.HashValue, offer)
			expect(bytes.Contains(csv, []byte("`"+*paid.TransactionId)), string(csv))
			expect(bytes.Contains(csv, []byte("`refund-1")), string(csv))
		}
	})

	check("the SDK refuses an answer that was altered after it was signed", func() {
		control("/_sim/faults", map[string]any{"name": "response_altered", "count": 1}, 200)
		_, err := query(jsapiService, "order-jsapi")
		expect(err != nil && strings.Contains(err.Error(), "verify fail"), err)
	})

	check("a wrong private key is refused", func() {
		stranger := must(rsa.GenerateKey(rand.Reader, 2048))
		_, err := query(jsapi.JsapiApiService{Client: client(stranger)}, "order-jsapi")
		expect(core.IsAPIError(err, "SIGN_ERROR"), err)
		requests := control("/_sim/requests", nil, 200)["items"].([]any)
		explanation := requests[len(requests)-1].(map[string]any)["explanation"].(string)
		expect(strings.Contains(explanation, "use apiclient_key.pem"), explanation)
	})

	check("platform certificates: downloaded, verified with, and renewed when they rotate", func() {
		control("/_sim/merchants/"+merchant.Mchid, map[string]any{"mode": "certificate"}, 200)
		manager := downloader.NewCertificateDownloaderMgr(ctx)
		defer manager.Stop()
		ok(manager.RegisterDownloaderWithClient(ctx, trusting, merchant.Mchid, merchant.APIv3Key))
		visitor := manager.GetCertificateVisitor(merchant.Mchid)
		byCertificate := jsapi.JsapiApiService{Client: must(core.NewClient(ctx,
			option.WithWechatPayAutoAuthCipherUsingDownloaderMgr(
				merchant.Mchid, merchant.SerialNo, privateKey, manager),
			option.WithHTTPClient(simulator),
		))}
		expect(*must(query(byCertificate, "order-jsapi")).TradeState == "REFUND")

		first := visitor.GetNewestSerial(ctx)
		rotation := map[string]any{"what": "platform_certificate"}
		control("/_sim/merchants/"+merchant.Mchid+"/rotate", rotation, 200)
		manager.DownloadCertificates(ctx)
		expect(len(visitor.GetAll(ctx)) == 2, visitor.GetAll(ctx))
		share := map[string]any{"new_certificate_share": 1}
		control("/_sim/merchants/"+merchant.Mchid, share, 200)
		notices.handler = must(notify.NewRSANotifyHandler(
			merchant.APIv3Key, verifiers.NewSHA256WithRSAVerifier(visitor)))
		service := native.NativeApiService{Client: byCertificate.Client}
		answered(service.Prepay(ctx, order("order-certificate")))
		control("/_sim/orders/order-certificate/pay", map[string]any{}, 200)
		seen := notices.next()
		expect(seen.err == nil && seen.content["out_trade_no"] == "order-certificate", seen)
		expect(seen.headers.Get(consts.WechatPaySerial) != first, seen.headers)
	})

	check("https under WeChat Pay's own host name, by trusting ca_file", func() {
		authority := x509.NewCertPool()
		expect(authority.AppendCertsFromPEM(must(os.ReadFile(merchant.CAFile))))
		address := must(url.Parse(merchant.TLSURL)).Host
		untouched := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: authority},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			},
		}}
		service := jsapi.JsapiApiService{Client: must(core.NewClient(ctx,
			option.WithMerchantCredential(merchant.Mchid, merchant.SerialNo, privateKey),
			option.WithoutValidator(), option.WithHTTPClient(untouched)))}
		expect(*must(query(service, "order-jsapi")).TradeState == "REFUND")
	})

	check("no notice was accepted that should not have been", func() {
		items := control("/_sim/violations", nil, 200)["items"].([]any)
		expect(len(items) == 0, items)
	})
}
