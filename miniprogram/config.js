// The one switch: `development` runs the shop against `cargo run` on this machine, without WeChat's
// login and payment. For a release set it to false and `baseUrl` to the stack's address.

const DEVELOPMENT = true;

exports.config = DEVELOPMENT
  ? {
      baseUrl: "http://127.0.0.1:3000",
      simulated: { controlUrl: "http://127.0.0.1:8082", openid: "oDeveloper-of-this-shop-0001" },
    }
  : { baseUrl: "https://pay.example.com" };
