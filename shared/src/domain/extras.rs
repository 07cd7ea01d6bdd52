//! What an order carries besides what is paid, how and by whom: for coupons, invoices, the store and the
//! settlement. Most orders have nothing of it.

/// How long `goods_tag` may be, in bytes.
pub const GOODS_TAG_MAX: usize = 32;

/// How long a receipt's, an article's or a store's number and the code of its region may be, in bytes.
pub const NUMBER_MAX: usize = 32;

/// How long an article's or a store's name may be, in bytes.
pub const NAME_MAX: usize = 256;

/// How long a store's address may be, in bytes.
pub const ADDRESS_MAX: usize = 512;

/// What a merchant may say of an order besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Which of the merchant's coupons apply (`goods_tag`).
    pub goods_tag: Option<String>,
    /// Whether the payer is offered an electronic invoice.
    pub support_fapiao: bool,
    /// What the order cannot be paid with.
    pub limit_pay: Vec<LimitPay>,
    /// The articles as coupons see them. A payer's order has none here: its own are told, see
    /// [`super::terms::detail_of`].
    pub detail: Option<Detail>,
    /// Where it was sold (`scene_info.store_info`).
    pub store: Option<Store>,
    /// Whether the money is frozen until it is shared (`settle_info.profit_sharing`).
    pub profit_sharing: bool,
}

impl Extras {
    /// Whether there is nothing of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A way to pay that an order rules out (`limit_pay`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitPay {
    /// Not from the payer's WeChat balance.
    NoBalance,
    /// Not by credit card.
    NoCredit,
    /// Not by debit card.
    NoDebit,
    /// From the payer's WeChat balance and nothing else.
    BalanceOnly,
}

impl LimitPay {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::NoBalance,
        Self::NoCredit,
        Self::NoDebit,
        Self::BalanceOnly,
    ];

    /// The name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoBalance => "no_balance",
            Self::NoCredit => "no_credit",
            Self::NoDebit => "no_debit",
            Self::BalanceOnly => "balance_only",
        }
    }

    /// Reads the name; none of ours gives `None`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.as_str() == name)
    }
}

/// What coupons for single articles look at (`detail`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// What it cost before the merchant's own discount, in fen, at least 0.
    pub cost_price: Option<i64>,
    /// The number of the receipt.
    pub invoice_id: Option<String>,
    /// The articles.
    pub goods: Vec<Goods>,
}

/// One article of a [`Detail`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goods {
    /// The merchant's name of it: 1 to 32 of `A-Z a-z 0-9 _ -`.
    pub merchant_goods_id: String,
    /// WeChat Pay's name of it, if it has one.
    pub wechatpay_goods_id: Option<String>,
    /// What it is called.
    pub goods_name: Option<String>,
    /// How many, at least 1.
    pub quantity: u32,
    /// What one of them costs, in fen, at least 0.
    pub unit_price: i64,
}

/// Where an order was sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The merchant's number of the store.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// The code of its region, as official statistics number them.
    pub area_code: Option<String>,
    /// Its address.
    pub address: Option<String>,
}

impl Detail {
    /// The same without the articles' names, which are the longest part of it.
    #[must_use]
    pub fn without_names(mut self) -> Self {
        for goods in &mut self.goods {
            goods.goods_name = None;
        }
        self
    }
}

/// Whether WeChat Pay takes this for a merchant's name of an article (`merchant_goods_id`).
pub fn is_goods_id(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=NUMBER_MAX).contains(&text.len()) && text.bytes().all(legal)
}

#[cfg(test)]
mod tests;
