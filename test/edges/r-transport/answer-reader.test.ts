import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { Client, type Dispatcher } from 'undici';
import { AnswerReader } from '../../../gateway/edges/r-transport/answer-reader.ts';

/** What became of the bytes of a connection that then ended. */
type Outcome =
  | { readonly kind: 'answered'; readonly status: number; readonly fields: string[]; readonly body: string }
  | { readonly kind: 'lost' | 'malformed' };

/** Reads with our reader: `pieces` one after the other, then the end of the connection. */
function read(pieces: readonly Buffer[], isHead = false) {
  const reader = new AnswerReader();
  const buffer = Buffer.alloc(128 * 1024);
  const interim: number[] = [];
  let body = '';
  let heads = 0;
  reader.begin(
    {
      onInterim: status => interim.push(status),
      onHead: () => (heads += 1),
      onData: (chunk, start, end) => (body += chunk.toString('latin1', start, end)),
    },
    isHead,
  );
  const isOver = () => reader.isOver;
  let rest = 0;
  for (const piece of pieces) {
    if (isOver()) rest += piece.length;
    else if (!reader.isMalformed) {
      piece.copy(buffer);
      buffer.fill(0x21, piece.length, piece.length + 64); // what the last piece left there is of no meaning
      const end = reader.read(buffer.subarray(0, piece.length));
      if (isOver()) rest += piece.length - end;
    }
  }
  const { head } = reader;
  const outcome: Outcome =
    !reader.isMalformed && reader.end()
      ? { kind: 'answered', status: head.status, fields: head.fields, body }
      : { kind: reader.isMalformed ? 'malformed' : 'lost' };
  assert.ok(heads <= 1);
  return { outcome, interim, rest, isKeepable: outcome.kind === 'answered' && head.isKeepable };
}

/** Reads with undici, on a connection that is not there. */
async function readByUndici(pieces: readonly Buffer[], isHead = false): Promise<Outcome> {
  const socket = new Duplex({
    read() {
      // Pushed once the request is there.
    },
    write(_chunk, _encoding, done) {
      done();
      if (isPlayed) return;
      isPlayed = true;
      void setImmediate(() => {
        for (const piece of pieces) socket.push(piece);
        socket.push(null);
      });
    },
  });
  let isPlayed = false;
  const itself = () => socket;
  Object.assign(socket, { ref: itself, unref: itself, setTimeout: itself, setNoDelay: itself, setKeepAlive: itself });
  const client = new Client('http://r.example', {
    maxHeaderSize: 64 * 1024,
    connect: (_options, callback) => void setImmediate(() => callback(null, socket as never)),
  });
  const outcome = await new Promise<Outcome>(resolve => {
    let status = 0;
    let fields: string[] = [];
    let body = '';
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: ignore,
      onResponseStart(controller, code) {
        if (code === 101) resolve({ kind: 'answered', status: 101, fields: [], body: '' });
        status = code;
        fields = (controller.rawHeaders as Buffer[]).map(part => part.toString('latin1'));
      },
      onResponseData: (_controller, chunk) => void (body += chunk.toString('latin1')),
      onResponseEnd: () => resolve({ kind: 'answered', status, fields, body }),
      onResponseError: () => resolve({ kind: 'lost' }),
    };
    client.dispatch({ path: '/', method: isHead ? 'HEAD' : 'GET', reset: true }, handler);
  });
  await client.destroy();
  return outcome;
}

function ignore(): void {
  // Nothing to be told.
}

const whole = (text: string) => [Buffer.from(text, 'latin1')];
const single = (text: string) => Array.from(Buffer.from(text, 'latin1'), byte => Buffer.from([byte]));
const cutAt = (text: string, place: number) => [
  Buffer.from(text.slice(0, place), 'latin1'),
  Buffer.from(text.slice(place), 'latin1'),
];

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
const LENGTH = `${OK}Content-Length: 3\r\n`;

/** Both read them alike. */
const ALIKE: Record<string, string> = {
  'a length': `${LENGTH}\r\nabc`,
  'a length that is not reached': `${LENGTH}\r\nab`,
  'no content': `${OK}Content-Length: 0\r\n\r\n`,
  'to the end of the connection': `${OK}\r\nabc`,
  'to the end of the connection, of an old version': 'HTTP/1.0 200 OK\r\nA: b\r\n\r\nabc',
  'no reason': 'HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\nabc',
  'no reason, and no space': 'HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc',
  'a reason in no language': 'HTTP/1.1 429 D\xfcnn\xb7o\r\nContent-Length: 3\r\n\r\nabc',
  'a status of no class': 'HTTP/1.1 999 Odd\r\nContent-Length: 3\r\n\r\nabc',
  'fields as they are spelled, and twice': `${LENGTH}X-a:1\r\nX-A:  2 \t\r\nx-a: \r\nX-\xdcber\r\n`,
  'values of all kinds': `${LENGTH}A: \xe9 "quoted, \\" text"\t; q=1\r\nB:\r\n\r\nabc`,
  chunks: `${CHUNKED}3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n`,
  'chunks with extensions': `${CHUNKED}3;a=b;c="d e"\r\nabc\r\n0;last\r\n\r\n`,
  'chunks with trailers': `${CHUNKED}3\r\nabc\r\n0\r\nX-Sum: 1\r\nB: \r\n\r\n`,
  'a chunk that is cut off': `${CHUNKED}5\r\nabc`,
  'chunks without the last': `${CHUNKED}3\r\nabc\r\n`,
  'chunks without the last line': `${CHUNKED}3\r\nabc\r\n0\r\n`,
  'a chunk that is longer than its size': `${CHUNKED}3\r\nabcd\r\n0\r\n\r\n`,
  'a chunk size of no number': `${CHUNKED}zz\r\nabc\r\n0\r\n\r\n`,
  'a chunk size below nothing': `${CHUNKED}-3\r\nabc\r\n0\r\n\r\n`,
  'a chunk size beyond all bounds': `${CHUNKED}fffffffffffffffffff\r\nabc\r\n0\r\n\r\n`,
  'an empty chunk size': `${CHUNKED}\r\nabc\r\n0\r\n\r\n`,
  'both framings': `${LENGTH}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
  'two lengths': `${LENGTH}Content-Length: 4\r\n\r\nabcd`,
  'the same length twice': `${LENGTH}Content-Length: 3\r\n\r\nabc`,
  'a list of lengths': `${OK}Content-Length: 3, 3\r\n\r\nabc`,
  'a length of no number': `${OK}Content-Length: 3a\r\n\r\nabc`,
  'a length with a sign': `${OK}Content-Length: +3\r\n\r\nabc`,
  'a length below nothing': `${OK}Content-Length: -3\r\n\r\nabc`,
  'an empty length': `${OK}Content-Length:\r\n\r\nabc`,
  'no status line': '220 smtp.example.org ESMTP\r\n',
  'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n',
  'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
  'a status that is no number': 'HTTP/1.1 2x0 OK\r\n\r\n',
  nothing: '',
  'half a status line': 'HTTP/1.',
  'half a head': `${OK}Content-Le`,
  'a name that is empty': `${OK}: a\r\nContent-Length: 0\r\n\r\n`,
  'a name with a space in it': `${OK}A b: c\r\nContent-Length: 0\r\n\r\n`,
  'a name with a space behind it': `${OK}A : c\r\nContent-Length: 0\r\n\r\n`,
  'a name without a colon': `${OK}Abc\r\nContent-Length: 0\r\n\r\n`,
  'a folded field': `${OK}A: b\r\n c\r\nContent-Length: 0\r\n\r\n`,
  'a NUL in a value': `${OK}A: b\0c\r\nContent-Length: 0\r\n\r\n`,
  'a bare CR in a value': `${OK}A: b\rC: d\r\nContent-Length: 0\r\n\r\n`,
  'a bare LF behind a field': `${OK}A: b\nContent-Length: 0\r\n\r\n`,
  'a bare LF behind the status line': 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n',
  'no content, by its status': 'HTTP/1.1 204 No\r\n\r\nabc',
  'no content, by its status, with a length': 'HTTP/1.1 304 No\r\nContent-Length: 3\r\n\r\nabc',
  'a head that is too large': `${OK}A: ${'b'.repeat(70_000)}\r\nContent-Length: 0\r\n\r\n`,
  'an interim answer first': `HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n${LENGTH}\r\nabc`,
  'more than the answer': `${LENGTH}\r\nabcHTTP/1.1 200 OK\r\n`,
};

/** Two codings, or one that is not known: what is left would be passed on coded, and nothing would say so. */
const CODED = 'what is left of the coding would be passed on without its name (RFC 9112 §6.1, §7)';

/** They read them otherwise, and why ours is right. */
const OTHERWISE: Record<string, { readonly text: string; readonly ours: Outcome['kind']; readonly why: string }> = {
  'an unasked 100': {
    text: `HTTP/1.1 100 Continue\r\n\r\n${LENGTH}\r\nabc`,
    ours: 'answered',
    why: 'a client reads past every 1xx (RFC 9110 §15.2); undici takes 100 for a fault where it had not asked for it',
  },
  'a coding besides chunked': {
    text: `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    ours: 'malformed',
    why: CODED,
  },
  'chunked twice': { text: `${OK}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`, ours: 'malformed', why: CODED },
  'chunked twice, in two lines': {
    text: `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ours: 'malformed',
    why: CODED,
  },
  'an unknown coding': { text: `${OK}Transfer-Encoding: foo\r\n\r\nabc`, ours: 'malformed', why: CODED },
  'an empty coding': { text: `${OK}Transfer-Encoding:\r\n\r\nabc`, ours: 'malformed', why: CODED },
  'chunks of an old version': {
    text: 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ours: 'malformed',
    why: 'HTTP/1.0 knows no Transfer-Encoding: its framing is faulty (RFC 9112 §6.1)',
  },
  'empty lines before the status line': {
    text: `\r\n${LENGTH}\r\nabc`,
    ours: 'malformed',
    why: 'a server may skip them before a request (RFC 9112 §2.2), a client may not',
  },
  'another version': {
    text: 'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n',
    ours: 'malformed',
    why: 'what does not speak 1.x would not write so',
  },
  'a status below all classes': {
    text: 'HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n',
    ours: 'malformed',
    why: 'three digits, the first of which is a class (RFC 9110 §15)',
  },
  'a DEL in a value': {
    text: `${OK}A: b\x7fc\r\nContent-Length: 0\r\n\r\n`,
    ours: 'malformed',
    why: 'it is no field-vchar (RFC 9110 §5.5)',
  },
  'a control character in a value': {
    text: `${OK}A: b\x01c\r\nContent-Length: 0\r\n\r\n`,
    ours: 'malformed',
    why: 'it is no field-vchar (RFC 9110 §5.5)',
  },
  'a control character in the reason': {
    text: 'HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n',
    ours: 'malformed',
    why: 'it is none of what a reason may have (RFC 9112 §4)',
  },
  'trailers without end': {
    text: `${CHUNKED}0\r\n${'A: b\r\n'.repeat(1_100)}\r\n`,
    ours: 'malformed',
    why: 'all that a caller cannot see is bounded',
  },
  'fields without end': {
    text: `${OK}${'A: b\r\n'.repeat(1_100)}Content-Length: 0\r\n\r\n`,
    ours: 'malformed',
    why: 'their number is bounded, not their bytes alone',
  },
  'interim answers without end': {
    text: `${'HTTP/1.1 102 Wait\r\n\r\n'.repeat(33)}${LENGTH}\r\nabc`,
    ours: 'malformed',
    why: 'their number is bounded',
  },
  'extensions of chunks without end': {
    text: `${CHUNKED}3;${'a'.repeat(17_000)}\r\nabc\r\n0\r\n\r\n`,
    ours: 'malformed',
    why: 'all that a caller cannot see is bounded',
  },
  'a tab for a space in the status line': {
    text: 'HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n',
    ours: 'malformed',
    why: 'one space, and nothing else (RFC 9112 §4)',
  },
};

describe('an answer is read as undici reads it', () => {
  for (const [name, text] of Object.entries(ALIKE)) {
    test(name, async () => {
      const ours = read(whole(text)).outcome;
      const theirs = await readByUndici(whole(text));

      assert.deepEqual(ours.kind === 'answered' ? ours : 'failed', theirs.kind === 'answered' ? theirs : 'failed');
    });
  }
});

describe('an answer is read otherwise than undici reads it', () => {
  for (const [name, { text, ours, why }] of Object.entries(OTHERWISE)) {
    test(`${name}: ${why}`, async () => {
      const outcome = read(whole(text)).outcome;
      const theirs = await readByUndici(whole(text));

      assert.equal(outcome.kind, ours);
      assert.notDeepEqual(outcome, theirs);
    });
  }
});

describe('an answer is read alike however it is cut', () => {
  const texts = { ...ALIKE, ...Object.fromEntries(Object.entries(OTHERWISE).map(([name, { text }]) => [name, text])) };
  for (const [name, text] of Object.entries(texts)) {
    test(name, () => {
      const expected = read(whole(text));
      const step = Math.ceil((text.length + 1) / 300);

      for (let place = 0; place <= text.length; place += step) assert.deepEqual(read(cutAt(text, place)), expected);
      assert.deepEqual(read(single(text)), expected);
    });
  }
});

describe('a damaged answer', () => {
  const seeds = Array.from({ length: 40 }, (_, seed) => seed);
  const PIECES = [
    '\r',
    '\n',
    '\r\n',
    ' ',
    '\t',
    ':',
    ';',
    ',',
    '\0',
    '\x7f',
    '\xff',
    '0',
    '9',
    'a',
    'chunked',
    'Content-Length: 2\r\n',
  ];

  /** A good answer with some of it gone, doubled or put in. */
  function damaged(seed: number, good: string): string {
    let state = seed + 1;
    const below = (limit: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (state >>> 8) % limit;
    };
    let text = good;
    for (let times = 1 + below(3); times > 0; times -= 1) {
      const place = below(text.length);
      const piece = PIECES[below(PIECES.length)] ?? '';
      const gone = below(3);
      text = text.slice(0, place) + piece + text.slice(place + gone);
    }
    return text;
  }

  const goods = [`${LENGTH}X-A: 1\r\n\r\nabc`, `${CHUNKED}3;a=b\r\nabc\r\n0\r\nX: 1\r\n\r\n`, `${OK}A: b\r\n\r\nabc`];
  for (const seed of seeds) {
    test(`that is accepted at all is accepted by undici too, and read alike, however it is cut (${seed})`, async () => {
      for (const good of goods) {
        const text = damaged(seed, good);
        const ours = read(whole(text));
        assert.deepEqual(read(single(text)), ours, JSON.stringify(text));
        if (ours.outcome.kind === 'answered') {
          assert.deepEqual(await readByUndici(whole(text)), ours.outcome, JSON.stringify(text));
        }
      }
    });
  }
});

describe('the connection after an answer', () => {
  const cases: Record<string, { readonly text: string; readonly isKeepable: boolean; readonly isHead?: boolean }> = {
    'is kept after a length': { text: `${LENGTH}\r\nabc`, isKeepable: true },
    'is kept after chunks': { text: `${CHUNKED}0\r\n\r\n`, isKeepable: true },
    'is kept after a 304 with a length': { text: 'HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n', isKeepable: true },
    'is kept after a 204 with a length': { text: 'HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n', isKeepable: true },
    'is kept after the answer to HEAD': { text: `${LENGTH}\r\n`, isKeepable: true, isHead: true },
    'is kept where an old version asks for it': {
      text: 'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n',
      isKeepable: true,
    },
    'is not kept by an old version': { text: 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', isKeepable: false },
    'is not kept where the answer says so': {
      text: `${LENGTH}Connection: foo, Close\r\n\r\nabc`,
      isKeepable: false,
    },
    'is not kept where its end is the answer’s': { text: `${OK}\r\nabc`, isKeepable: false },
    'is not kept after a switch of protocols': { text: 'HTTP/1.1 101 Go\r\n\r\n', isKeepable: false },
    'is not kept after a 204 in chunks': {
      text: 'HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      isKeepable: false,
    },
  };
  for (const [name, { text, isKeepable, isHead = false }] of Object.entries(cases)) {
    test(name, () => {
      const answer = read(whole(text), isHead);

      assert.equal(answer.outcome.kind, 'answered');
      assert.equal(answer.isKeepable, isKeepable);
    });
  }

  test('shows what came behind the answer', () => {
    assert.equal(read(whole(`${LENGTH}\r\nabcHTTP/1.1`)).rest, 8);
    assert.equal(read(whole(`${LENGTH}\r\nabc`)).rest, 0);
  });
});

describe('interim answers', () => {
  test('are told, but for 100', () => {
    const text = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n${LENGTH}\r\nabc`;

    const { outcome, interim } = read(whole(text));

    assert.equal(outcome.kind, 'answered');
    assert.deepEqual(interim, [103, 102]);
  });
});
