// Verifies an access token as a resource server does.
// usage: verify.mjs <jwks_uri> <issuer> <audience> <token>
import { createRemoteJWKSet, jwtVerify } from 'jose';

const [jwksUri, issuer, audience, token] = process.argv.slice(2);
if (!token) {
  console.error('usage: verify.mjs <jwks_uri> <issuer> <audience> <token>');
  process.exit(1);
}
try {
  const keys = createRemoteJWKSet(new URL(jwksUri));
  const { payload, protectedHeader } = await jwtVerify(token, keys, {
    issuer,
    audience,
    typ: 'at+jwt',
  });
  console.log(JSON.stringify({ payload, protectedHeader }));
} catch (failure) {
  console.error(failure);
  process.exitCode = 1;
}
