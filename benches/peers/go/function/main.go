// A create-order like this project's in Go: `aws-lambda-go`, the AWS SDK v2 and the official WeChat Pay
// SDK. It does the same work for the same event towards the same servers (benches/floor says which).
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/option"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/jsapi"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"
)

var (
	table  *dynamodb.Client
	orders jsapi.JsapiApiService
	hashes [][]byte
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// The SDK names WeChat Pay's host in its code; what it sends goes to WECHATPAY_BASE_URL.
type redirect struct{ to *url.URL }

func (r redirect) RoundTrip(request *http.Request) (*http.Response, error) {
	request.URL.Scheme, request.URL.Host = r.to.Scheme, r.to.Host
	return http.DefaultTransport.RoundTrip(request)
}

func main() {
	ctx := context.Background()
	settings := must(config.LoadDefaultConfig(ctx))
	table = dynamodb.NewFromConfig(settings)
	secrets := secretsmanager.NewFromConfig(settings)
	read := func(variable string, into any) {
		secret := must(secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
			SecretId: aws.String(os.Getenv(variable)),
		}))
		if err := json.Unmarshal([]byte(*secret.SecretString), into); err != nil {
			panic(err)
		}
	}
	var signing struct {
		SerialNo   string `json:"serial_no"`
		PrivateKey string `json:"private_key"`
	}
	var wechatpay struct {
		PublicKeyID string `json:"public_key_id"`
		PublicKey   string `json:"public_key"`
	}
	var api struct {
		MerchantKeyHashes []string `json:"merchant_key_hashes"`
	}
	read("SIGNING_SECRET_ARN", &signing)
	read("WECHATPAY_SECRET_ARN", &wechatpay)
	read("API_SECRET_ARN", &api)
	for _, hash := range api.MerchantKeyHashes {
		hashes = append(hashes, must(hex.DecodeString(hash)))
	}
	host := must(url.Parse(os.Getenv("WECHATPAY_BASE_URL")))
	orders.Client = must(core.NewClient(ctx,
		option.WithWechatPayPublicKeyAuthCipher(
			os.Getenv("MCHID"), signing.SerialNo,
			must(utils.LoadPrivateKey(signing.PrivateKey)),
			wechatpay.PublicKeyID, must(utils.LoadPublicKey(wechatpay.PublicKey)),
		),
		option.WithHTTPClient(&http.Client{Transport: redirect{host}}),
	))
	lambda.Start(createOrder)
}

type order struct {
	TradeType   string `json:"trade_type"`
	OutTradeNo  string `json:"out_trade_no"`
	Description string `json:"description"`
	Amount      struct {
		Total int64 `json:"total"`
	} `json:"amount"`
	Payer struct {
		Openid string `json:"openid"`
	} `json:"payer"`
}

func createOrder(
	ctx context.Context, event events.APIGatewayV2HTTPRequest,
) (events.APIGatewayV2HTTPResponse, error) {
	var none events.APIGatewayV2HTTPResponse
	if !known(event.Headers["authorization"]) {
		return none, errors.New("an unknown credential")
	}
	var asked order
	if err := json.Unmarshal([]byte(event.Body), &asked); err != nil {
		return none, err
	}
	if asked.TradeType != "jsapi" || len(asked.OutTradeNo) > 32 || asked.Amount.Total < 1 {
		return none, errors.New("not an order of the kind that is measured")
	}
	now := time.Now()
	expires := now.Add(30 * time.Minute).Truncate(time.Second)
	if err := put(ctx, asked, now, expires); err != nil {
		return none, err
	}
	pay, _, err := orders.PrepayWithRequestPayment(ctx, jsapi.PrepayRequest{
		Appid:       aws.String(os.Getenv("APPID")),
		Mchid:       aws.String(os.Getenv("MCHID")),
		Description: &asked.Description,
		OutTradeNo:  &asked.OutTradeNo,
		TimeExpire:  &expires,
		NotifyUrl:   aws.String(os.Getenv("PUBLIC_BASE_URL") + "/wechatpay/notify"),
		Amount:      &jsapi.Amount{Total: &asked.Amount.Total, Currency: aws.String("CNY")},
		Payer:       &jsapi.Payer{Openid: &asked.Payer.Openid},
	})
	if err != nil {
		return none, err
	}
	beijing := expires.In(time.FixedZone("", 8*60*60)).Format(time.RFC3339)
	body, err := json.Marshal(map[string]any{
		"amount":       map[string]any{"currency": "CNY", "total": asked.Amount.Total},
		"out_trade_no": asked.OutTradeNo, "time_expire": beijing,
		"trade_state": "NOTPAY", "trade_type": "jsapi",
		"pay": map[string]any{
			"timeStamp": pay.TimeStamp, "nonceStr": pay.NonceStr, "package": pay.Package,
			"signType": pay.SignType, "paySign": pay.PaySign,
		},
	})
	fmt.Printf("{\"level\":\"INFO\",\"order.out_trade_no\":%q,\"status\":201}\n", asked.OutTradeNo)
	return events.APIGatewayV2HTTPResponse{
		StatusCode: http.StatusCreated,
		Headers:    map[string]string{"content-type": "application/json", "cache-control": "no-store"},
		Body:       string(body),
	}, err
}

func known(authorization string) bool {
	digest := sha256.Sum256([]byte(strings.TrimPrefix(authorization, "Bearer ")))
	for _, hash := range hashes {
		if subtle.ConstantTimeCompare(hash, digest[:]) == 1 {
			return true
		}
	}
	return false
}

func put(ctx context.Context, asked order, now, expires time.Time) error {
	attempt := make([]byte, 16)
	must(rand.Read(attempt))
	shard := sha256.Sum256([]byte(asked.OutTradeNo))[0] % 10
	text := func(value string) types.AttributeValue {
		return &types.AttributeValueMemberS{Value: value}
	}
	number := func(value int64) types.AttributeValue {
		return &types.AttributeValueMemberN{Value: strconv.FormatInt(value, 10)}
	}
	_, err := table.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: aws.String(os.Getenv("TABLE_NAME")),
		Item: map[string]types.AttributeValue{
			"pk": text("ORDER#" + asked.OutTradeNo), "sk": text("ORDER"),
			"attempt": text(hex.EncodeToString(attempt)), "out_trade_no": text(asked.OutTradeNo),
			"trade_type": text(asked.TradeType), "appid": text(os.Getenv("APPID")),
			"mchid": text(os.Getenv("MCHID")), "description": text(asked.Description),
			"notify_url": text(os.Getenv("PUBLIC_BASE_URL") + "/wechatpay/notify"),
			"openid":     text(asked.Payer.Openid), "placed_by": text("merchant"),
			"trade_state": text("NOTPAY"), "due_shard": text(strconv.Itoa(int(shard))),
			"wire_version": number(1), "total": number(asked.Amount.Total),
			"time_expire": number(expires.Unix()), "created_at": number(now.Unix()),
			"version": number(1), "due_at": number(now.Unix() + 60),
		},
		ConditionExpression:                 aws.String("attribute_not_exists(pk)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	return err
}
