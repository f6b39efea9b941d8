<?php
// One request for PHP: the answer is 1 if the request is for the token endpoint, and any variable of the request has the grant.
const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';

function is_grant($value): bool
{
    if (is_string($value)) {
        return strtolower(trim($value)) === GRANT || strtolower(trim(strtok($value . ' ', "\0"))) === GRANT;
    }
    return is_array($value) && array_filter($value, 'is_grant') !== [];
}

// As routers in PHP read the path, and as a web server runs /token.php and /index.php with the rest of the path.
$parsed = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$paths = [rawurldecode(strtok($_SERVER['REQUEST_URI'], '?')), is_string($parsed) ? rawurldecode($parsed) : '/'];
$is_endpoint = array_filter($paths, fn ($path) => preg_match('~^(/index\.php)?/token(\.php)?(/.*)?$~s', $path) === 1) !== [];

$sources = [$_GET, $_POST, $_REQUEST, json_decode(file_get_contents('php://input'), true)];
$found = array_filter($sources, fn ($source) => is_array($source) && is_grant($source['grant_type'] ?? null));
echo "\n", $is_endpoint && $found !== [] ? 1 : 0;
