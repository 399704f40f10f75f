import type * as Ffi from 'node:ffi';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';

/** Asks the kernel to acknowledge at once what comes next on a connection. It forgets that again: after each write. */
export type QuickAck = (socket: Socket) => void;

const IPPROTO_TCP = 6;
const TCP_QUICKACK = 12;

/** An `int` of C's, in memory that stays where it is. */
const ON = Buffer.from(new Int32Array([1]).buffer);

/**
 * The means to acknowledge at once, or undefined where there is none: on other systems than Linux, and on a Node without
 * `node:ffi`, which is experimental.
 */
export function findQuickAck(): QuickAck | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const { dlopen, getRawPointer } = createRequire(import.meta.url)('node:ffi') as typeof Ffi;
    const { functions } = dlopen(null, {
      setsockopt: { arguments: ['int32', 'int32', 'int32', 'pointer', 'uint32'], return: 'int32' },
    });
    const on = getRawPointer(ON);
    return socket => {
      const fd = (socket as { _handle?: { fd?: number } | null })._handle?.fd ?? -1;
      if (fd >= 0) functions.setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, on, 4);
    };
  } catch {
    return undefined; // Connections are not kept, then.
  }
}
