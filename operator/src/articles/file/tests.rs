//! Tests of files of articles: what is read, and that everything wrong is named.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::{articles, of_csv, of_json};

fn csv(text: &str, yuan: bool) -> Result<Vec<(String, i64, bool)>, String> {
    let read = of_csv(text, yuan).and_then(|rows| articles(&rows, yuan))?;
    let told = read.into_iter();
    Ok(told
        .map(|(sku, it)| (sku, it.price_fen, it.on_sale))
        .collect())
}

#[test]
fn a_file_is_read_with_its_columns_in_any_order() {
    let text = "\u{feff}price_fen,sku,on_sale,description\n1, coffee ,true,Coffee 咖啡\n300,tea,no,Tea\n5,cup,,Cup\n";
    let read = csv(text, false).unwrap();
    let expected = [("coffee", 1, true), ("tea", 300, false), ("cup", 5, true)];
    assert_eq!(
        read,
        expected.map(|(sku, fen, on)| (sku.to_owned(), fen, on))
    );
    let read = csv("sku,description,price_yuan\ncake,Cake,25.50\n", true).unwrap();
    assert_eq!(read, [("cake".to_owned(), 2_550, true)]);
}

#[test]
fn fen_are_never_taken_for_yuan_nor_yuan_for_fen() {
    let in_yuan = "sku,description,price_yuan\ncake,Cake,25.50\n";
    assert!(csv(in_yuan, false).unwrap_err().contains("say --yuan"));
    let in_fen = "sku,description,price_fen\ncake,Cake,2550\n";
    assert!(csv(in_fen, true).unwrap_err().contains("leave --yuan out"));
    let mixed = "sku,description,price_fen\ncake,Cake,25.50\n";
    assert!(csv(mixed, false).unwrap_err().contains("line 2"));
    let json = r#"[{"sku": "cake", "description": "Cake", "price_yuan": 25.5}]"#;
    assert!(of_json(json, false).unwrap_err().contains("say --yuan"));
    let rows = of_json(json, true).unwrap();
    assert_eq!(articles(&rows, true).unwrap()[0].1.price_fen, 2_550);
}

#[test]
fn everything_wrong_is_named_with_its_line_and_nothing_is_used() {
    let text = "sku,description,price_fen,on_sale\n\
                a b,X,1,true\n\
                ok,X,1,true\n\
                ok,X,1,true\n\
                empty,,1,true\n\
                free,X,0,true\n\
                maybe,X,1,perhaps\n";
    let told = csv(text, false).unwrap_err();
    for line in [
        "line 2: a sku",
        "line 4: ok is there twice",
        "line 5: a description",
        "line 6: an amount",
        "line 7: on_sale",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    assert!(!told.contains("line 3"), "{told}");
    assert!(
        csv("sku,price_fen\n", false)
            .unwrap_err()
            .contains("description")
    );
    assert!(
        csv("sku,description,price_fen,prize\n", false)
            .unwrap_err()
            .contains("prize")
    );
    assert!(of_json("{}", false).is_err());
}
