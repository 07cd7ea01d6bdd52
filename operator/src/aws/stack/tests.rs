//! Tests of what is read of CloudFormation's answers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::{described, message};

/// An answer as CloudFormation writes it, with what is not read here around what is.
const ANSWER: &str = r#"<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
  <DescribeStacksResult>
    <Stacks>
      <member>
        <StackName>wxpay</StackName>
        <Outputs>
          <member>
            <Description>The API &amp; more</Description>
            <OutputKey>BaseUrl</OutputKey>
            <OutputValue>https://pay.example.com/?a=1&amp;b=2</OutputValue>
            <ExportName>x</ExportName>
          </member>
          <member><OutputKey>TableName</OutputKey><OutputValue>wxpay-Table</OutputValue></member>
        </Outputs>
        <Parameters>
          <member><ParameterKey>Mchid</ParameterKey><ParameterValue>1230000109</ParameterValue></member>
          <member><ParameterKey>DomainName</ParameterKey><ParameterValue/></member>
        </Parameters>
        <Tags/>
      </member>
    </Stacks>
  </DescribeStacksResult>
  <ResponseMetadata><RequestId>b9b4b068</RequestId></ResponseMetadata>
</DescribeStacksResponse>"#;

#[test]
fn outputs_and_parameters_are_read_by_their_names() {
    let described = described(ANSWER).unwrap();
    assert_eq!(
        described.output("BaseUrl").unwrap(),
        "https://pay.example.com/?a=1&b=2"
    );
    assert_eq!(described.output("TableName").unwrap(), "wxpay-Table");
    assert_eq!(described.parameters["Mchid"], "1230000109");
    assert_eq!(described.parameters["DomainName"], "");
    let missing = described.output("SigningSecretArn").unwrap_err();
    assert_eq!(missing.code(), 3);
    assert!(missing.to_string().contains("SigningSecretArn"));
}

#[test]
fn a_refusal_is_told_in_its_own_words() {
    let refusal = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
                   <Message>Stack with id wxpy does not exist</Message></Error></ErrorResponse>";
    assert_eq!(
        message(refusal).as_deref(),
        Some("Stack with id wxpy does not exist")
    );
    assert_eq!(message("<html>").as_deref(), None);
    assert!(described("not xml").is_err());
}
