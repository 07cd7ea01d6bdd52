/* OpenSSL by itself, asked in batches (ours/src/main.rs says how): the least that a header and a notice
 * cost when nothing but its signatures, its AES-GCM and its base64 is used. Keys are parsed once. There
 * is no JSON parser here: a notice's fields are searched for as text. */

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MESSAGE_MAX = 1 << 16 };

static EVP_PKEY *private_key, *public_key;
static EVP_CIPHER *aes_256_gcm;
static EVP_MD_CTX *signing, *verifying;
static EVP_CIPHER_CTX *cipher;
static const char *mchid, *serial_no, *apiv3_key, *public_key_id;

static void need(int held, const char *what) {
    if (held) return;
    fprintf(stderr, "%s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static const char *variable(const char *name) {
    const char *value = getenv(name);
    need(value != NULL, name);
    return value;
}

static EVP_PKEY *key(const char *name, EVP_PKEY *(*read)(FILE *, EVP_PKEY **, pem_password_cb *, void *)) {
    FILE *file = fopen(variable(name), "r");
    need(file != NULL, name);
    EVP_PKEY *parsed = read(file, NULL, NULL, NULL);
    need(parsed != NULL, name);
    fclose(file);
    return parsed;
}

static void header(const char *method, const char *target, const char *body, char *last) {
    static char message[MESSAGE_MAX];
    unsigned char random[16], signature[512];
    char nonce[33], encoded[700];
    size_t length = sizeof signature;
    long now = (long)time(NULL);
    need(RAND_bytes(random, sizeof random) == 1, "no randomness");
    for (size_t at = 0; at < sizeof random; at++) {
        nonce[2 * at] = "0123456789abcdef"[random[at] >> 4];
        nonce[2 * at + 1] = "0123456789abcdef"[random[at] & 15];
    }
    nonce[32] = '\0';
    int bytes = snprintf(message, sizeof message, "%s\n%s\n%ld\n%s\n%s\n", method, target, now, nonce, body);
    need(EVP_DigestSignInit_ex(signing, NULL, "SHA256", NULL, NULL, private_key, NULL) == 1
             && EVP_DigestSign(signing, signature, &length, (unsigned char *)message, (size_t)bytes) == 1,
         "the key does not sign");
    EVP_EncodeBlock((unsigned char *)encoded, signature, (int)length);
    snprintf(last, MESSAGE_MAX,
             "WECHATPAY2-SHA256-RSA2048 mchid=\"%s\",nonce_str=\"%s\",signature=\"%s\","
             "timestamp=\"%ld\",serial_no=\"%s\"",
             mchid, nonce, encoded, now, serial_no);
}

/* The text between a prefix and an end, copied; 0 where there is none. */
static int between(const char *text, const char *prefix, char end, char *found) {
    const char *begin = strstr(text, prefix);
    if (begin == NULL) return 0;
    begin += strlen(prefix);
    const char *stop = strchr(begin, end);
    if (stop == NULL) return 0;
    memcpy(found, begin, (size_t)(stop - begin));
    found[stop - begin] = '\0';
    return 1;
}

/* Decodes base64; the number of bytes, or -1. */
static int decoded(const char *text, unsigned char *bytes) {
    size_t characters = strlen(text);
    int length = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)characters);
    while (length > 0 && characters > 0 && text[--characters] == '=') length--;
    return length;
}

/* NULL, or why the notice is refused. */
static const char *notice(const char *head, const char *body, char *last) {
    static char message[MESSAGE_MAX], text[MESSAGE_MAX], field[3][MESSAGE_MAX];
    static unsigned char bytes[MESSAGE_MAX];
    char timestamp[64], nonce[256], serial[256];
    int length, part;
    if (!between(head, "wechatpay-timestamp: ", '\n', timestamp)
        || !between(head, "wechatpay-nonce: ", '\n', nonce)
        || !between(head, "wechatpay-serial: ", '\n', serial)
        || !between(head, "wechatpay-signature: ", '\n', text))
        return "a header is missing";
    if (labs((long)time(NULL) - atol(timestamp)) >= 300) return "stale";
    if (strcmp(serial, public_key_id) != 0) return "another key";
    length = decoded(text, bytes);
    int signed_bytes = snprintf(message, sizeof message, "%s\n%s\n%s\n", timestamp, nonce, body);
    if (length < 0 || EVP_DigestVerifyInit_ex(verifying, NULL, "SHA256", NULL, NULL, public_key, NULL) != 1
        || EVP_DigestVerify(verifying, bytes, (size_t)length, (unsigned char *)message, (size_t)signed_bytes) != 1)
        return "forged";
    if (strstr(body, "\"event_type\":\"TRANSACTION.SUCCESS\"") == NULL
        || !between(body, "\"ciphertext\":\"", '"', field[0])
        || !between(body, "\"nonce\":\"", '"', field[1])
        || !between(body, "\"associated_data\":\"", '"', field[2]))
        return "not a payment";
    length = decoded(field[0], bytes) - 16;
    if (length < 0 || strlen(field[1]) != 12
        || EVP_DecryptInit_ex2(cipher, aes_256_gcm, (const unsigned char *)apiv3_key,
                               (unsigned char *)field[1], NULL) != 1
        || EVP_DecryptUpdate(cipher, NULL, &part, (unsigned char *)field[2], (int)strlen(field[2])) != 1
        || EVP_DecryptUpdate(cipher, (unsigned char *)text, &part, bytes, length) != 1
        || EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, 16, bytes + length) != 1
        || EVP_DecryptFinal_ex(cipher, (unsigned char *)text + part, &part) != 1)
        return "does not open";
    text[length] = '\0';
    return between(text, "\"out_trade_no\":\"", '"', last) ? NULL : "no order";
}

int main(void) {
    static char line[4096], message[MESSAGE_MAX], last[MESSAGE_MAX];
    mchid = variable("MCHID");
    serial_no = variable("SERIAL_NO");
    apiv3_key = variable("APIV3_KEY");
    public_key_id = variable("PUBLIC_KEY_ID");
    private_key = key("PRIVATE_KEY_FILE", PEM_read_PrivateKey);
    public_key = key("PUBLIC_KEY_FILE", PEM_read_PUBKEY);
    aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    signing = EVP_MD_CTX_new();
    verifying = EVP_MD_CTX_new();
    cipher = EVP_CIPHER_CTX_new();
    need(aes_256_gcm && signing && verifying && cipher, "OpenSSL does not start");
    while (fgets(line, sizeof line, stdin) != NULL) {
        char work[16], path[4000];
        long count;
        need(sscanf(line, "%15s %ld %3999[^\n]", work, &count, path) == 3, "a batch is WORK COUNT FILE");
        FILE *file = fopen(path, "r");
        need(file != NULL, path);
        size_t length = fread(message, 1, sizeof message - 1, file);
        fclose(file);
        message[length] = '\0';
        char *body = strstr(message, "\n\n");
        need(body != NULL, "no empty line");
        body[1] = '\0'; /* The head keeps the newline that ends its last line. */
        body += 2;
        const char *why = NULL;
        if (strcmp(work, "header") == 0) {
            char *target = strchr(message, ' ');
            need(target != NULL, "no target");
            *target++ = '\0';
            target[strcspn(target, "\n")] = '\0';
            while (count-- > 0) header(message, target, body, last);
        } else {
            while (count-- > 0 && why == NULL) why = notice(message, body, last);
        }
        if (why == NULL) printf("ok %s\n", last);
        else printf("no %s\n", why);
        fflush(stdout);
    }
    return 0;
}
