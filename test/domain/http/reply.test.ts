import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { preflightAnswer } from '../../../gateway/domain/http/cors.ts';
import { addReplyFields, filterReply, toAnswer, unlessNotModified } from '../../../gateway/domain/http/reply.ts';
import type { Cors, Filter } from '../../../gateway/domain/route.ts';
import type { Answer } from '../../../gateway/domain/upstream.ts';
import { aMatched } from '../../support/requests.ts';
import { aCompleteCall, aSharing, aSharingRoute } from '../../support/sharing.ts';

const VIA = ['Via', '1.1 penstock'];
const answerOf = (fields: string[], status = 200, body: Answer['body'] = Buffer.alloc(0)) =>
  toAnswer({ status, fields, body }, null);

describe('an instance’s answer', () => {
  test('keeps what is meant for the caller, in order, and says through whom it came', () => {
    const fields = ['Date', 'Thu, 01 Jan 2026 00:00:00 GMT', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'ETag', '"x"'];

    assert.deepEqual(answerOf([...fields]).fields, [...fields, ...VIA]);
  });

  test('leaves the frame of the other hop behind', () => {
    const fields = [
      ...['Connection', 'X-Once, close', 'Keep-Alive', 'timeout=5', 'Transfer-Encoding', 'chunked'],
      ...['Content-Length', '3', 'X-Once', '1', 'Trailer', 'X-Sum', 'Upgrade', 'h2c', 'Proxy-Authenticate', 'Basic'],
      ...['Content-Type', 'text/plain'],
    ];

    assert.deepEqual(answerOf(fields, 404).fields, ['Content-Type', 'text/plain', ...VIA]);
  });

  test('keeps the length of a body that is still to come, where it has one', () => {
    const lengthOf = (fields: string[], status = 200) => {
      const answer = answerOf(fields, status, new Readable());
      const at = answer.fields.indexOf('Content-Length');
      return at < 0 ? undefined : answer.fields[at + 1];
    };

    assert.equal(lengthOf(['content-length', '5000000']), '5000000');
    assert.equal(lengthOf(['content-length', '5'], 204), undefined);
    assert.equal(lengthOf(['content-length', '5', 'transfer-encoding', 'chunked']), undefined);
    assert.equal(lengthOf(['content-length', '5', 'content-length', '6']), undefined);
    assert.equal(lengthOf([]), undefined);
  });

  test('drops a field that could not be sent on', () => {
    const fields = ['X-Good', 'caf\xe9', 'X-Bad', 'a\r\nSet-Cookie: b=1', 'X Bad', '1', '', '2', 'X-Wide', '水'];

    assert.deepEqual(answerOf(fields).fields, ['X-Good', 'caf\xe9', ...VIA]);
  });

  for (const status of [199, 101, 0, 600, 1000, 200.5, NaN]) {
    test(`with the status ${status} is the instance’s fault, and its body is let go`, () => {
      const body = new Readable();

      assert.throws(() => answerOf([], status, body), { code: 'UPSTREAM_FAULT' });
      assert.equal(body.destroyed, true);
    });
  }

  test('may have the statuses at both ends', () => {
    assert.deepEqual([answerOf([], 200).status, answerOf([], 599).status], [200, 599]);
  });
});

const JSON_FIELDS = ['Content-Type', 'application/json'];
const anAnswer = (traits: Partial<Answer> = {}): Answer => ({
  ...{ status: 200, fields: [...JSON_FIELDS], body: Buffer.from('[1]'), via: null },
  ...traits,
});
const aCall = (
  method: string,
  { fields = [], filters = [] }: { fields?: readonly string[]; filters?: Filter[] } = {},
) => aCompleteCall(aSharingRoute(aSharing(), { filters }), { request: { method, fields } });
const toReply = (answer: Answer, call: Parameters<typeof filterReply>[1]): Answer => {
  filterReply(answer, call);
  return answer;
};
const filter = (onReply: Filter['onReply']): Filter => ({ name: 'F', text: 'F', ...(onReply && { onReply }) });

describe('an answer as its caller gets it', () => {
  test('is changed by the route’s filters', () => {
    const filters = [
      filter(draft => {
        draft.status = 203;
        draft.fields.push('X-Filtered', 'yes');
      }),
    ];

    const { status, fields } = toReply(anAnswer(), aCall('GET', { filters }));

    assert.deepEqual([status, fields], [203, [...JSON_FIELDS, 'X-Filtered', 'yes']]);
  });

  test('has for HEAD the length of the body that GET would have, and no body', () => {
    const { fields, body } = toReply(anAnswer(), aCall('HEAD'));

    assert.deepEqual([fields, (body as Buffer).length], [[...JSON_FIELDS, 'Content-Length', '3'], 0]);
  });

  for (const status of [204, 304]) {
    test(`has no length for HEAD where GET would have none: ${status}`, () => {
      const { fields } = toReply(anAnswer({ status, fields: [] }), aCall('HEAD'));

      assert.deepEqual(fields, []);
    });
  }

  test('lets go of a streamed body that nothing will read', () => {
    const body = new Readable({ read: () => undefined });
    const failing = filter(() => {
      throw new Error('unfit');
    });

    assert.throws(() => toReply(anAnswer({ body }), aCall('GET', { filters: [failing] })), { message: 'unfit' });
    assert.equal(body.destroyed, true);
  });
});

const MODIFIED = 'Thu, 01 Jan 2026 12:00:00 GMT';
const FIELDS = ['Content-Type', 'application/json', 'ETag', '"a,b"', 'Last-Modified', MODIFIED, 'Vary', 'Accept'];

const given = (fields: readonly string[], { method = 'GET', ...traits }: Partial<Answer> & { method?: string } = {}) =>
  unlessNotModified(anAnswer({ fields: [...FIELDS], ...traits }), aCall(method, { fields }));

describe('an answer that the caller has already', () => {
  for (const tags of ['"a,b"', 'W/"a,b"', '"x", "a,b"', '"x" , W/"y",W/"a,b"', '*', ' * ']) {
    test(`is not given again: ${tags}`, () => assert.equal(given(['If-None-Match', tags]).status, 304));
  }

  for (const tags of ['"a"', '"b"', '"A,B"', 'a,b', '"a', '']) {
    test(`is given where the tag is another: ${JSON.stringify(tags)}`, () => {
      assert.equal(given(['If-None-Match', tags]).status, 200);
    });
  }

  test('is known by its tag on any line, and for HEAD', () => {
    const conditions = ['If-None-Match', '"x"', 'if-none-match', '"a,b"'];

    assert.equal(given(conditions).status, 304);
    assert.equal(given(conditions, { method: 'HEAD' }).status, 304);
    assert.equal(given(conditions, { method: 'POST' }).status, 200);
  });

  test('is known by its date where no tag is said', () => {
    assert.equal(given(['If-Modified-Since', MODIFIED]).status, 304);
    assert.equal(given(['If-Modified-Since', 'Thu, 01 Jan 2026 11:59:59 GMT']).status, 200);
    assert.equal(given(['If-Modified-Since', 'yesterday']).status, 200);
    assert.equal(given(['If-None-Match', '"x"', 'If-Modified-Since', MODIFIED]).status, 200);
  });

  for (const status of [199, 301, 404, 500]) {
    test(`is told in full where it is no success: ${status}`, () => {
      assert.equal(given(['If-None-Match', '*'], { status }).status, status);
    });
  }

  test('keeps what guides the one who stores it, and nothing that describes a content', () => {
    const { fields, body } = given(['If-None-Match', '*']);

    assert.deepEqual(fields, ['ETag', '"a,b"', 'Last-Modified', MODIFIED, 'Vary', 'Accept']);
    assert.equal((body as Buffer).length, 0);
  });

  test('lets go of a body that still comes', () => {
    const body = new Readable({ read: () => undefined });

    assert.equal(given(['If-None-Match', '*'], { body }).status, 304);
    assert.equal(body.destroyed, true);
  });
});

const cors: Cors = {
  origins: new Set(['https://app.example.org']),
  methods: ['GET'],
  headers: [],
  credentials: false,
  expose: [],
  maxAgeSeconds: 600,
};

const replyFields = (fields: string[], call = aMatched()): string[] => {
  addReplyFields(fields, call);
  return fields;
};

describe('what every reply has', () => {
  test('is the call’s id, in place of any other', () => {
    assert.deepEqual(replyFields(['X-A', '1', 'x-request-id', 'of-R']), ['X-A', '1', 'X-Request-Id', 'request-1']);
  });

  test('is what was noted on the way, in place of the instance’s', () => {
    const call = aMatched();
    call.addReplyField('RateLimit', '"default";r=9');

    const fields = replyFields(['ratelimit', 'of-R', 'Retry-After', '3'], call);

    assert.deepEqual(fields, ['Retry-After', '3', 'X-Request-Id', 'request-1', 'RateLimit', '"default";r=9']);
  });

  test('is the route’s CORS fields, in place of the instance’s', () => {
    const call = aMatched({ policy: { cors }, request: { fields: ['Origin', 'https://app.example.org'] } });

    const fields = replyFields(['Access-Control-Allow-Origin', '*'], call);

    assert.equal(fields.filter(field => /^access-control-allow-origin$/i.test(field)).length, 1);
    assert.ok(fields.includes('https://app.example.org'));
  });

  test('leaves the instance’s CORS fields alone on a route that has no word on them', () => {
    assert.ok(replyFields(['Access-Control-Allow-Origin', '*']).includes('*'));
  });

  test('leaves the answer to a preflight as it is', () => {
    const request = ['Origin', 'https://app.example.org', 'Access-Control-Request-Method', 'GET'];
    const call = aMatched({ policy: { cors }, request: { method: 'OPTIONS', fields: request } });
    call.isPreflight = true;
    const { fields } = preflightAnswer(cors, request);

    assert.deepEqual(replyFields([...fields], call), [...fields, 'X-Request-Id', 'request-1']);
  });

  test('is the route’s CORS fields where an instance answers what looks like a preflight', () => {
    const request = ['Origin', 'https://evil.example', 'Access-Control-Request-Method', 'PUT'];
    const call = aMatched({ policy: { cors }, request: { method: 'OPTIONS', fields: request } });

    const fields = replyFields(['Vary', 'Accept', 'Access-Control-Allow-Origin', '*'], call);

    assert.ok(!fields.includes('Access-Control-Allow-Origin'));
  });
});
