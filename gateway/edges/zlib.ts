import { brotliDecompress, gunzip } from 'node:zlib';
import { notSoCoded, type Unpack } from '../domain/http/content-coding.ts';

/** Unpacks bodies beside the calls in hand. A bomb is let go of as soon as it is larger than its bound. */
export const unpack: Unpack = (content, coding, bytesMax) =>
  new Promise((resolve, reject) => {
    const told = (error: NodeJS.ErrnoException | null, unpacked: Buffer) => {
      if (error === null) resolve(unpacked);
      else if (error.code === 'ERR_BUFFER_TOO_LARGE') resolve(undefined);
      else reject(notSoCoded(coding));
    };
    const options = { maxOutputLength: Math.max(1, bytesMax) };
    if (coding === 'gzip') gunzip(content, options, told);
    else brotliDecompress(content, options, told);
  });
