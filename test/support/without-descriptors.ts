import { closeSync, openSync } from 'node:fs';
import type { Admin } from '../../gateway/domain/operating/admin.ts';
import { createAdminServer } from '../../gateway/edges/express/admin.ts';

// An admin listener in a process that has no file descriptor left; a line on its input frees them. It writes where it
// listens and what it tells, one JSON object a line.

const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

const CLOSED = { open: [], tokens: [], roles: { viewer: [], scientist: [], operator: [], auditor: [] }, services: {} };

const server = createAdminServer({
  ...{ host: '127.0.0.1', port: 0, access: CLOSED, admin: {} as Admin },
  observe: say,
});
const { port } = await server.listen();
process.stdin.resume();
const taken: number[] = [];
const take = () => {
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    // That was the last.
  }
};
take();
say({ port });
process.stdin.on('data', () => {
  for (const descriptor of taken.splice(0)) closeSync(descriptor);
});
