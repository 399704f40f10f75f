import { pipeline } from 'node:stream';
import { promisify } from 'node:util';
import { brotliCompress, brotliDecompress, constants, createBrotliCompress, createGzip, gunzip, gzip } from 'node:zlib';
import { type ContentCoding, type Compressor, notSoCoded, type Unpack } from '../domain/http/content-coding.ts';

/** Bodies that are compressed at once, beside the calls in hand: the threads for it are few, and each holds memory. */
const AT_ONCE_MAX = 16;

/** As good as gzip at its usual, in less time; more would cost several times as much for a tenth. */
const BROTLI_QUALITY = 4;
const GZIP_LEVEL = 5;

const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } };
const [wholeBrotli, wholeGzip] = [promisify(brotliCompress), promisify(gzip)];

/** Compresses on threads of Node's own, so that no call waits for another's. */
export function createCompressor(atOnceMax = AT_ONCE_MAX): Compressor {
  let atOnce = 0;
  const done = () => {
    atOnce -= 1;
  };

  return {
    hasRoom: () => atOnce < atOnceMax,
    whole(body, coding) {
      atOnce += 1;
      const coded = coding === 'br' ? wholeBrotli(body, brotli) : wholeGzip(body, { level: GZIP_LEVEL });
      return coded.finally(done);
    },
    stream(body, coding) {
      atOnce += 1;
      const coder = createCoder(coding);
      pipeline(body, coder, done);
      return coder;
    },
  };
}

/** Each piece goes out as it came: a caller that reads along waits for no more. */
function createCoder(coding: ContentCoding) {
  return coding === 'br'
    ? createBrotliCompress({ ...brotli, flush: constants.BROTLI_OPERATION_FLUSH })
    : createGzip({ level: GZIP_LEVEL, flush: constants.Z_SYNC_FLUSH });
}

/** Unpacks bodies beside the calls in hand. A bomb is let go of as soon as it is larger than its bound. */
export const unpack: Unpack = (content, coding, bytesMax) =>
  new Promise((resolve, reject) => {
    const onUnpacked = (error: NodeJS.ErrnoException | null, unpacked: Buffer) => {
      if (error === null) resolve(unpacked);
      else if (error.code === 'ERR_BUFFER_TOO_LARGE') resolve(undefined);
      else reject(notSoCoded(coding));
    };
    const options = { maxOutputLength: Math.max(1, bytesMax) };
    if (coding === 'gzip') gunzip(content, options, onUnpacked);
    else brotliDecompress(content, options, onUnpacked);
  });
