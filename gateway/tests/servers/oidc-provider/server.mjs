// `oidc-provider` with JWTs for one resource, and opaque tokens otherwise.
// usage: server.mjs <port> <public_url>
import { exportJWK, generateKeyPair } from 'jose';
import { Provider, errors } from 'oidc-provider';

const ORDERS = 'https://orders.example';
const [port, publicUrl] = process.argv.slice(2);

const secret = (id) => `${id}-secret-0123456789abcdef`;
const service = (id, method) => ({
  client_id: id,
  client_secret: secret(id),
  token_endpoint_auth_method: method,
  grant_types: [],
  response_types: [],
  redirect_uris: [],
});
const SERVICES = [
  service('orders-api', 'client_secret_basic'),
  service('billing-api', 'client_secret_post'),
  service('gateway', 'client_secret_basic'),
];

const { privateKey } = await generateKeyPair('RS256', { extractable: true });
const provider = new Provider(publicUrl, {
  clients: [
    {
      client_id: 'web',
      client_secret: secret('web'),
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: ['https://client.example/callback'],
    },
    ...SERVICES,
  ],
  jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'provider', alg: 'RS256', use: 'sig' }] },
  cookies: { keys: ['a-cookie-key-which-never-changes'] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  scopes: ['openid', 'offline_access', 'orders:read'],
  issueRefreshToken: () => true,
  features: {
    devInteractions: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => {
        if (resource !== ORDERS) throw new errors.InvalidTarget();
        return { audience: ORDERS, scope: 'orders:read', accessTokenFormat: 'jwt' };
      },
    },
  },
});
provider.proxy = true;
provider.listen(Number(port), '127.0.0.1');
