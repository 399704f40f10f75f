/** What is said on a connection of its own, and the statuses of the answers in turn; '' is a connection that closes unanswered. */
export type FramingCase = readonly [name: string, say: string, statuses: string];

const TEN = { version: '1.0' };

interface Parts {
  readonly method?: string;
  readonly target?: string;
  readonly version?: string;
  /** Without it the request has `Host: a`. */
  readonly host?: string;
}

/** A request with these very lines in its head; the connection closes after it where the gateway takes it. */
function request(
  lines: string,
  body = '',
  { method = 'POST', target = '/r/echo', version = '1.1', host = 'Host: a\r\n' }: Parts = {},
): string {
  return `${method} ${target} HTTP/${version}\r\n${host}Connection: close\r\n${lines}\r\n${body}`;
}

const get = (lines: string, parts: Parts = {}) => request(lines, '', { method: 'GET', ...parts });
const chunked = (body: string, more = '') => request(`Transfer-Encoding: chunked\r\n${more}`, body);
const LAST = '0\r\n\r\n';
const SMUGGLED = 'GET /r/smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
const many = (count: number, line: (i: number) => string) => Array.from({ length: count }, (_, i) => line(i)).join('');
const stays = (target: string) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;
const raw = (line: string) => `${line}\r\nHost: a\r\nConnection: close\r\n\r\n`;

/** Requests as hostile, careless and odd clients frame them. */
export const FRAMING_CASES: readonly FramingCase[] = [
  // Length
  ['a length', request('Content-Length: 2\r\n', '{}'), '200'],
  ['no length', request(''), '200'],
  ['a length of none', request('Content-Length: 0\r\n'), '200'],
  ['a length in front of nothing', request('Content-Length:\r\n'), '400'],
  ['a length with zeros before it', request('Content-Length: 0002\r\n', '{}'), '200'],
  ['a length with blanks around it', request('Content-Length: \t 2 \t\r\n', '{}'), '200'],
  ['a signed length', request('Content-Length: +2\r\n', '{}'), '400'],
  ['a negative length', request('Content-Length: -2\r\n', '{}'), '400'],
  ['a hexadecimal length', request('Content-Length: 0x2\r\n', '{}'), '400'],
  ['a broken length', request('Content-Length: 2.0\r\n', '{}'), '400'],
  ['a length in two words', request('Content-Length: 2 2\r\n', '{}'), '400'],
  ['a list of equal lengths', request('Content-Length: 2, 2\r\n', '{}'), '400'],
  ['two equal lengths', request('Content-Length: 2\r\nContent-Length: 2\r\n', '{}'), '400'],
  ['two lengths', request('Content-Length: 2\r\nContent-Length: 40\r\n', `{}${SMUGGLED}`), '400'],
  ['a length beyond all bounds', request(`Content-Length: ${'9'.repeat(30)}\r\n`, '{}'), '400'],
  ['a length beyond the route’s bound', request('Content-Length: 2000000\r\n', '{}'), '413'],
  ['a length of an underscore', request('Content_Length: 40\r\nContent-Length: 2\r\n', '{}'), '200'],
  ['a length that GET has, too', get('Content-Length: 2\r\n') + '{}', '200'],
  // Transfer codings
  ['chunks', chunked(`2\r\n{}\r\n${LAST}`), '200'],
  ['chunks of one byte', chunked(`1\r\n{\r\n1\r\n}\r\n${LAST}`), '200'],
  ['no chunks but the last', chunked(LAST), '200'],
  ['chunks in capital letters', request('Transfer-Encoding: CHUNKED\r\n', `2\r\n{}\r\n${LAST}`), '200'],
  ['chunks, and a length', chunked(`2\r\n{}\r\n${LAST}`, 'Content-Length: 2\r\n'), '400'],
  ['a length, and chunks', request('Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', `2\r\n{}\r\n${LAST}`), '400'],
  ['a length of an underscore, and chunks', chunked(`2\r\n{}\r\n${LAST}`, 'Content_Length: 2\r\n'), '200'],
  [
    'chunks of an underscore, and a length',
    request('Transfer_Encoding: chunked\r\nContent-Length: 2\r\n', '{}'),
    '200',
  ],
  ['chunks twice', request('Transfer-Encoding: chunked, chunked\r\n', LAST), '400'],
  ['chunks in two lines', request('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', LAST), '400'],
  ['chunks that are not last', request('Transfer-Encoding: chunked, gzip\r\n', LAST), '400'],
  ['a coding below chunks', request('Transfer-Encoding: gzip, chunked\r\n', LAST), '501'],
  [
    'a coding below chunks in a line of its own',
    request('Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n', LAST),
    '501',
  ],
  ['a coding and no chunks', request('Transfer-Encoding: gzip\r\n', ''), '400'],
  ['identity', request('Transfer-Encoding: identity\r\n', ''), '400'],
  ['identity, and a length', request('Transfer-Encoding: identity\r\nContent-Length: 2\r\n', '{}'), '400'],
  ['an unknown coding', request('Transfer-Encoding: xchunked\r\n', LAST), '400'],
  ['an unknown coding, and a length', request('Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n', '{}'), '400'],
  ['an empty coding', request('Transfer-Encoding:\r\n', LAST), '400'],
  ['an empty coding, and a length', request('Transfer-Encoding:\r\nContent-Length: 2\r\n', '{}'), '400'],
  ['chunks in quotes', request('Transfer-Encoding: "chunked"\r\n', LAST), '400'],
  ['chunks behind a tab of another kind', request('Transfer-Encoding: \x0bchunked\r\n', LAST), '400'],
  ['chunks with a parameter', request('Transfer-Encoding: chunked;q=1\r\n', LAST), '400'],
  ['chunks in HTTP/1.0', request('Transfer-Encoding: chunked\r\n', LAST, TEN), '400'],
  [
    'a coding named by Connection',
    request('Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n', `2\r\n{}\r\n${LAST}`),
    '200',
  ],
  // Chunks
  ['a size with zeros before it', chunked(`0002\r\n{}\r\n${LAST}`), '200'],
  ['a size in capital letters', chunked(`A\r\n{"a":1   }\r\n${LAST}`), '200'],
  ['a size of too many digits', chunked(`${'0'.repeat(40)}2\r\n{}\r\n${LAST}`), '200'],
  ['a size beyond all bounds', chunked(`FFFFFFFFFFFFFFFFF\r\n{}\r\n${LAST}`), '400'],
  ['a signed size', chunked(`+2\r\n{}\r\n${LAST}`), '400'],
  ['a negative size', chunked(`-2\r\n{}\r\n${LAST}`), '400'],
  ['a size with 0x before it', chunked(`0x2\r\n{}\r\n${LAST}`), '400'],
  ['a size that is none', chunked(`zz\r\n{}\r\n${LAST}`), '400'],
  ['an empty size', chunked(`\r\n{}\r\n${LAST}`), '400'],
  ['a blank before a size', chunked(` 2\r\n{}\r\n${LAST}`), '400'],
  ['a blank behind a size', chunked(`2 \r\n{}\r\n${LAST}`), '400'],
  ['a chunk longer than its size', chunked(`2\r\n{"a":1}\r\n${LAST}`), '400'],
  ['a chunk that no line end follows', chunked(`2\r\n{}${LAST}`), '400'],
  ['a chunk that a bare LF follows', chunked(`2\r\n{}\n${LAST}`), '400'],
  ['a size that a bare LF follows', chunked(`2\n{}\r\n${LAST}`), '400'],
  ['a size that a bare CR follows', chunked(`2\r{}\r\n${LAST}`), '400'],
  ['a last chunk that a bare LF follows', chunked('2\r\n{}\r\n0\n\n'), '400'],
  ['an extension', chunked(`2;a=b\r\n{}\r\n${LAST}`), '200'],
  ['an extension in quotes', chunked(`2;a="b;c"\r\n{}\r\n${LAST}`), '200'],
  ['an extension with a bare LF in it', chunked(`2;a=\nb\r\n{}\r\n${LAST}`), '400'],
  ['an extension with a control character in it', chunked(`2;a=\x01\r\n{}\r\n${LAST}`), '400'],
  ['an extension of many bytes', chunked(`2;${'a'.repeat(20_000)}\r\n{}\r\n${LAST}`), '400'],
  ['a trailer', chunked('2\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n'), '200'],
  ['a trailer that frames', chunked('2\r\n{}\r\n0\r\nContent-Length: 40\r\n\r\n'), '400'],
  [
    'a trailer that names a caller',
    chunked('2\r\n{}\r\n0\r\nX-Penstock-Subject: admin\r\nAuthorization: x\r\n\r\n'),
    '200',
  ],
  ['a trailer of many bytes', chunked(`2\r\n{}\r\n0\r\nX-Sum: ${'1'.repeat(30_000)}\r\n\r\n`), '431'],
  ['a trailer that is none', chunked('2\r\n{}\r\n0\r\nX Sum 1\r\n\r\n'), '400'],
  // Lines and fields
  ['a bare LF in the request line', 'GET /r/echo HTTP/1.1\nHost: a\r\nConnection: close\r\n\r\n', '400'],
  ['a bare LF behind a field', get('X-A: 1\nX-B: 2\r\n'), '400'],
  ['a bare LF at the end of the head', 'GET /r/echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\n', '400'],
  ['a bare CR behind a field', get('X-A: 1\rX-B: 2\r\n'), '400'],
  ['a bare CR in a value', get('X-A: 1\r2\r\n'), '400'],
  ['a folded field', get('X-A: 1\r\n 2\r\n'), '400'],
  ['a folded coding', request('Transfer-Encoding:\r\n chunked\r\n', LAST), '400'],
  ['a folded first field', 'GET /r/echo HTTP/1.1\r\n Host: a\r\n\r\n', '400'],
  ['a blank before a colon', get('X-A : 1\r\n'), '400'],
  ['a blank before the colon of a length', request('Content-Length : 2\r\n', '{}'), '400'],
  ['a tab before the colon of a coding', request('Transfer-Encoding\t: chunked\r\n', LAST), '400'],
  ['a blank in a name', get('X A: 1\r\n'), '400'],
  ['no name', get(': 1\r\n'), '400'],
  ['no colon', get('X-A\r\n'), '400'],
  ['a name with a NUL in it', get('X-\0A: 1\r\n'), '400'],
  ['a name with a byte above 127', get('X-\xc3\xa9: 1\r\n'), '400'],
  ['a name of every sign', get("!#$%&'*+-.^`|~: 1\r\n"), '200'],
  ['a name with an underscore', get('X_User: admin\r\n'), '200'],
  ['a value with a NUL in it', get('X-A: 1\x002\r\n'), '400'],
  ['a value with a control character in it', get('X-A: 1\x012\r\n'), '400'],
  ['a value with a DEL in it', get('X-A: 1\x7f2\r\n'), '400'],
  ['a value with bytes above 127', get('X-A: \xc3\xa9\r\n'), '200'],
  ['an empty value', get('X-A:\r\n'), '200'],
  ['many fields', get(many(300, i => `X-${i}: 1\r\n`)), '431'],
  ['fields of many bytes', get(`X-A: ${'a'.repeat(20_000)}\r\n`), '431'],
  ['a head of many bytes', get(`X-A: ${'a'.repeat(60_000)}\r\n`), '431'],
  ['a URL of many bytes', get('', { target: `/r/echo?${'a'.repeat(9_000)}` }), '414'],
  ['a URL without an end', `GET /r/echo?${'a'.repeat(60_000)}`, '414'],
  // Request line
  ['an empty line before it', `\r\n${get('')}`, '200'],
  ['no method', raw(' /r/echo HTTP/1.1'), '400'],
  ['a method in small letters', raw('get /r/echo HTTP/1.1'), '400'],
  ['an unknown method', raw('BREW /r/echo HTTP/1.1'), '400'],
  ['TRACE', raw('TRACE /r/echo HTTP/1.1'), '405'],
  ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n', '400'],
  ['no target', raw('GET  HTTP/1.1'), '400'],
  ['two blanks', raw('GET  /r/echo HTTP/1.1'), '200'],
  ['a tab', raw('GET\t/r/echo HTTP/1.1'), '400'],
  ['a raw byte above 127 in the path', raw('GET /r/echo/\xc3\xa9 HTTP/1.1'), '400'],
  ['a raw byte above 127 in the query', raw('GET /r/echo?x=\xc3\xa9 HTTP/1.1'), '400'],
  ['a blank in the target', raw('GET /r/echo /x HTTP/1.1'), '400'],
  ['no version', 'GET /r/echo\r\n\r\n', '400'],
  ['HTTP/0.9', raw('GET /r/echo HTTP/0.9'), '400'],
  ['HTTP/1.2', raw('GET /r/echo HTTP/1.2'), '400'],
  ['HTTP/2.0', raw('GET /r/echo HTTP/2.0'), '400'],
  ['a version in small letters', raw('GET /r/echo http/1.1'), '400'],
  ['a version of two digits', raw('GET /r/echo HTTP/1.10'), '400'],
  ['another protocol', raw('GET /r/echo RTSP/1.0'), '200'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '400'],
  ['the beginning of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '400'],
  ['HTTP/1.0', get('', { ...TEN }), '200'],
  ['the absolute form', get('', { target: 'http://b/r/echo' }), '200'],
  ['the absolute form, of another scheme', get('', { target: 'ftp://b/r/echo' }), '400'],
  ['the absolute form, without a host', get('', { target: 'http:///r/echo' }), '400'],
  ['the absolute form, with a user', get('', { target: 'http://u:p@b/r/echo' }), '400'],
  ['the asterisk form', request('', '', { method: 'OPTIONS', target: '*' }), '204'],
  ['the asterisk form of GET', get('', { target: '*' }), '400'],
  ['the authority form of GET', get('', { target: 'a:80' }), '400'],
  // Host
  ['no Host', get('', { host: '' }), '400'],
  ['no Host in HTTP/1.0', get('', { ...TEN, host: '' }), '200'],
  ['an empty Host', get('', { host: 'Host:\r\n' }), '400'],
  ['two Hosts', get('', { host: 'Host: a\r\nHost: a\r\n' }), '400'],
  ['two Hosts, one of an underscore', get('', { host: 'Host: a\r\nHo_st: b\r\n' }), '200'],
  ['a Host with a path', get('', { host: 'Host: a/b\r\n' }), '400'],
  ['a Host with a user', get('', { host: 'Host: u@a\r\n' }), '400'],
  ['a list of Hosts', get('', { host: 'Host: a b\r\n' }), '400'],
  ['a Host with a bad port', get('', { host: 'Host: a:b\r\n' }), '400'],
  ['a Host with the last port', get('', { host: 'Host: a:65535\r\n' }), '200'],
  ['a Host with a port beyond', get('', { host: 'Host: a:65536\r\n' }), '400'],
  ['a Host with a port', get('', { host: 'Host: a:8080\r\n' }), '200'],
  ['a Host of IPv6', get('', { host: 'Host: [::1]:80\r\n' }), '200'],
  ['a Host of more than 255 bytes', get('', { host: `Host: ${'a'.repeat(256)}\r\n` }), '400'],
  // Connection and Upgrade
  [
    'the offer of h2c',
    get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'),
    '200',
  ],
  [
    'the offer of h2c, with a body',
    request(
      'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 2\r\n',
      '{}',
    ),
    '200',
  ],
  ['the offer of an unknown protocol', get('Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n'), '200'],
  [
    'a WebSocket where there is none',
    `GET /r/echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
    '501',
  ],
  ['a field that Connection names', get('Connection: X-A\r\nX-A: 1\r\n'), '200'],
  [
    'Connection names Host and more',
    get('Connection: Host, Content-Length, X-Penstock-Subject, Authorization\r\n'),
    '200',
  ],
  ['an expectation', request('Expect: 100-continue\r\nContent-Length: 2\r\n', '{}'), '100 200'],
  ['an unknown expectation', request('Expect: the-unexpected\r\nContent-Length: 2\r\n', '{}'), '200'],
  // One behind another
  ['two requests', `${stays('/r/echo')}${get('')}`, '200 200'],
  ['a request behind a length', `POST /r/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}${get('')}`, '200 200'],
  [
    'a request behind chunks',
    `POST /r/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n${LAST}${get('')}`,
    '200 200',
  ],
  [
    'a request behind a GET with a body',
    `GET /r/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}${get('')}`,
    '200 200',
  ],
  ['a request behind one that is refused', `${stays('/r/../x')}${get('')}`, '400 200'],
  ['a request behind one that closes', `${get('')}${SMUGGLED}`, '200'],
  ['a request behind what is none', `POST /r/echo HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n${SMUGGLED}`, '400'],
  ['what is none behind a request', `${stays('/r/echo')}\0\0\0\0`, '200'],
  ['HEAD, and a request behind it', `HEAD /r/echo HTTP/1.1\r\nHost: a\r\n\r\n${get('')}`, '200 200'],
];
