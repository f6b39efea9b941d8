//! The client `huskarl` with each of its methods of authentication.

use huskarl::{
    core::{
        client_auth::{Audience, ClientSecret, JwtBearer, NoAuth},
        dpop::DPoP,
        secrets::{ProvidedSecret, SecretString},
        server_metadata::AuthorizationServerMetadata,
    },
    grant::token_exchange::{SecurityToken, SecurityTokenType, TokenExchangeGrant, TokenExchangeGrantParameters},
    prelude::*,
    token::AccessToken,
};
use huskarl_crypto_native::asymmetric::signer::{AsymmetricAlgorithm, GenerateAlgorithm, PrivateKey, pkcs8_pem};
use huskarl_reqwest::ReqwestClient;
use serde_json::json;
use std::{error::Error, fs, path::Path};

const USAGE: &str = "usage: huskarl-client <method> <issuer> <client_id> <secret> <folder> <subject_token> <audience>";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [method, issuer, client_id, secret, folder, subject_token, audience] =
        <[String; 7]>::try_from(arguments).map_err(|_| USAGE)?;
    let folder = Path::new(&folder);
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "a provider is installed already")?;

    let presents_certificate = method == "tls_client_auth";
    let authority = reqwest::Certificate::from_pem(&fs::read(folder.join("ca.crt"))?)?;
    let identity = match presents_certificate {
        true => Some(reqwest::Identity::from_pem(
            &[fs::read(folder.join("client.key"))?, fs::read(folder.join("client.crt"))?].concat(),
        )?),
        false => None,
    };
    let http = ReqwestClient::builder()
        .configure_builder(Box::new(move |builder| {
            let builder = builder.tls_certs_only([authority]);
            match identity {
                Some(identity) => builder.identity(identity),
                None => builder,
            }
        }))
        .build()
        .await?
        .with_uses_mtls(presents_certificate);
    let metadata = AuthorizationServerMetadata::oidc_fetch().http_client(&http).issuer(issuer).call().await?;

    let pem = fs::read_to_string(folder.join("assertion.pem"))?;
    let secret = ProvidedSecret::new(SecretString::new(secret));
    let signed = || -> Result<JwtBearer, Box<dyn Error>> {
        let key = PrivateKey::from_jwk(pkcs8_pem(&pem, AsymmetricAlgorithm::Es256, Some("client-1"))?)?;
        Ok(JwtBearer::builder().signer(key).audience(Audience::Issuer).build())
    };
    let builder = TokenExchangeGrant::builder_from_metadata(&metadata).client_id(client_id).http_client(http);
    let grant = match &*method {
        "client_secret_basic" => {
            builder.client_auth(ClientSecret::builder().client_secret(secret).prefer_basic_auth(true).build()).build()
        }
        "client_secret_post" => builder.client_auth(ClientSecret::new(secret)).build(),
        "private_key_jwt" => builder.client_auth(signed()?).build(),
        "tls_client_auth" => builder.client_auth(NoAuth).build(),
        "dpop" => {
            let key = PrivateKey::generate(GenerateAlgorithm::Ed25519, None)?;
            builder.client_auth(signed()?).dpop(DPoP::builder().signer(key).build()).build()
        }
        _ => return Err(USAGE.into()),
    };
    let subject = SecurityToken::builder().token(subject_token).token_type(SecurityTokenType::AccessToken).build();
    let parameters = TokenExchangeGrantParameters::builder().subject(subject).audience(audience).build();
    let response = grant.exchange(parameters).await?;
    let token = response.access_token();
    let token_type = if matches!(token, AccessToken::DPoP(_)) { "DPoP" } else { "Bearer" };
    println!("{}", json!({ "access_token": token.token().expose_secret(), "token_type": token_type }));
    Ok(())
}
