import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toReplyDraft } from '../../../gateway/domain/http/reply-head.ts';

describe('the head of a reply', () => {
  test('keeps what is meant for the caller, in order', () => {
    const rawHeaders = [
      'Date',
      'Thu, 01 Jan 2026 00:00:00 GMT',
      'Set-Cookie',
      'a=1',
      'Set-Cookie',
      'b=2',
      'ETag',
      '"x"',
    ];

    assert.deepEqual(toReplyDraft({ status: 200, rawHeaders }), { status: 200, fields: rawHeaders });
  });

  test('leaves the frame of the other hop behind', () => {
    const rawHeaders = [
      ...[
        'Connection',
        'X-Once, close',
        'Keep-Alive',
        'timeout=5',
        'Transfer-Encoding',
        'chunked',
        'Content-Length',
        '3',
      ],
      ...['X-Once', '1', 'Trailer', 'X-Sum', 'Upgrade', 'h2c', 'Proxy-Authenticate', 'Basic'],
      ...['Content-Type', 'text/plain'],
    ];

    assert.deepEqual(toReplyDraft({ status: 404, rawHeaders }).fields, ['Content-Type', 'text/plain']);
  });

  test('drops a field that could not be sent on', () => {
    const rawHeaders = ['X-Good', 'caf\xe9', 'X-Bad', 'a\r\nSet-Cookie: b=1', 'X Bad', '1', '', '2', 'X-Wide', '水'];

    assert.deepEqual(toReplyDraft({ status: 200, rawHeaders }).fields, ['X-Good', 'caf\xe9']);
  });

  for (const status of [199, 101, 0, 600, 1000, 200.5, NaN]) {
    test(`refuses the status ${status} as the instance’s fault`, () => {
      assert.throws(() => toReplyDraft({ status, rawHeaders: [] }), { code: 'UPSTREAM_FAULT' });
    });
  }

  test('takes the statuses at both ends', () => {
    assert.equal(toReplyDraft({ status: 200, rawHeaders: [] }).status, 200);
    assert.equal(toReplyDraft({ status: 599, rawHeaders: [] }).status, 599);
  });
});
