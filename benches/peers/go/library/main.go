// The official Go SDK as it comes from the module proxy, asked in batches (ours/src/main.rs says how).
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/credentials"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/signers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"
)

var ctx = context.Background()

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	private := must(utils.LoadPrivateKeyWithPath(os.Getenv("PRIVATE_KEY_FILE")))
	public := must(utils.LoadPublicKeyWithPath(os.Getenv("PUBLIC_KEY_FILE")))
	credential := credentials.WechatPayCredentials{Signer: &signers.SHA256WithRSASigner{
		MchID: os.Getenv("MCHID"), CertificateSerialNo: os.Getenv("SERIAL_NO"), PrivateKey: private,
	}}
	verifier := verifiers.NewSHA256WithRSAPubkeyVerifier(os.Getenv("PUBLIC_KEY_ID"), *public)
	handler := must(notify.NewRSANotifyHandler(os.Getenv("APIV3_KEY"), verifier))

	batches := bufio.NewScanner(os.Stdin)
	for batches.Scan() {
		words := strings.SplitN(batches.Text(), " ", 3)
		count := must(strconv.Atoi(words[1]))
		head, body, _ := strings.Cut(string(must(os.ReadFile(words[2]))), "\n\n")
		var last string
		var err error
		if words[0] == "header" {
			method, target, _ := strings.Cut(head, " ")
			for range count {
				last, err = credential.GenerateAuthorizationHeader(ctx, method, target, body)
			}
		} else {
			headers := http.Header{}
			for _, line := range strings.Split(head, "\n") {
				name, value, _ := strings.Cut(line, ": ")
				headers.Set(name, value)
			}
			for range count {
				last, err = notice(handler, headers, body)
			}
		}
		if err != nil {
			fmt.Println("no", strings.Join(strings.Fields(err.Error()), " "))
		} else {
			fmt.Println("ok", last)
		}
	}
}

func notice(handler *notify.Handler, headers http.Header, body string) (string, error) {
	request := &http.Request{Header: headers, Body: io.NopCloser(strings.NewReader(body))}
	paid := new(payments.Transaction)
	if _, err := handler.ParseNotifyRequest(ctx, request, paid); err != nil {
		return "", err
	}
	if *paid.TradeState != "SUCCESS" {
		return "", fmt.Errorf("not a payment")
	}
	return *paid.OutTradeNo, nil
}
