import type { Matched } from '../domain/call.ts';
import {
  codeHead,
  isCompressible,
  preferredCoding,
  varyByCoding,
  type Compressor,
} from '../domain/http/content-coding.ts';
import type { Answer } from '../domain/upstream.ts';

/** Codes a body for a caller that likes it, and goes on with the answer; at once, where it stays as it is. */
export type Compress = (call: Matched, answer: Answer, next: (answer: Answer) => void) => void;

/**
 * Compresses answers on routes that say so.
 *
 * It stands behind the cache, which keeps what R said, and behind the filters, which may have set a cookie. Where the
 * compressor has enough to do, the answer goes as it is: to compress is to spare the way, never to wait.
 */
export function createCompress({ compressor }: { readonly compressor: Compressor }): Compress {
  return function compress(call, answer, next) {
    if (!isCompressible(answer)) {
      next(answer);
      return;
    }
    varyByCoding(answer.fields);
    const coding = preferredCoding(call.fields);
    // The head of an answer to HEAD says what GET's would, but for the length, which is not known.
    if (coding === undefined || call.method === 'HEAD' || !compressor.hasRoom()) {
      next(answer);
      return;
    }
    const { body } = answer;
    if (!Buffer.isBuffer(body)) {
      codeHead(answer.fields, coding);
      next({ ...answer, body: compressor.stream(body, coding) });
      return;
    }
    call.awaits(compressor.whole(body, coding), coded => {
      if (coded.length < body.length) codeHead(answer.fields, coding);
      next(coded.length < body.length ? { ...answer, body: coded } : answer);
    });
  };
}
