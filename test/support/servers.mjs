import { fileURLToPath } from 'node:url';
import { ensureConsul, ensureServer as ensure } from '../../gateway/setup/servers.mjs';

/** What tests and benchmarks need, and where it comes from. */
const SERVERS = {
  nginx: { packages: ['nginx'], program: 'usr/sbin/nginx', probe: '-v' },
  haproxy: { packages: ['haproxy'], program: 'usr/sbin/haproxy', probe: '-v' },
  'redis-server': { packages: ['redis-server'], program: 'usr/bin/redis-server', probe: '--version' },
  promtool: { packages: ['prometheus'], program: 'usr/bin/promtool', probe: '--version' },
  wrk: { packages: ['wrk'], program: 'usr/bin/wrk', probe: '-v' },
  testssl: {
    packages: ['testssl.sh', 'bsdextrautils', 'xxd'],
    program: 'usr/bin/testssl',
    probe: '--version',
    env: { TESTSSL_INSTALL_DIR: '$root/etc/testssl', PATH: '$root/usr/bin:$PATH', OPENSSL: '/usr/bin/openssl' },
  },
  h2load: { packages: ['nghttp2-client'], program: 'usr/bin/h2load', probe: '--version' },
  Rserve: { packages: ['r-cran-rserve'], program: 'usr/lib/R/site-library/Rserve/libs/Rserve', probe: '--version' },
  // The machine's own Python, with a client of gRPC of another's making.
  'python3-grpcio': {
    packages: ['python3-grpcio'],
    program: '../../../../../../../../../../../../usr/bin/python3',
    probe: '--version',
    env: { PYTHONPATH: '$root/usr/lib/python3/dist-packages' },
  },
  slapd: { packages: ['slapd'], program: 'usr/sbin/slapd', probe: '-VV' },
  chromium: { packages: ['chromium', 'fonts-dejavu-core'], program: 'usr/lib/chromium/chromium', probe: '--version' },
};

/**
 * The path of a server's program: the one on PATH, or one downloaded from Debian and unpacked under `.state/servers/`.
 * @param {'consul' | keyof typeof SERVERS} name
 */
export function ensureServer(name) {
  return name === 'consul' ? ensureConsul() : ensure(name, SERVERS[name]);
}

// `node test/support/servers.mjs NAME …` says where each is.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const name of process.argv.slice(2)) process.stdout.write(`${await ensureServer(name)}\n`);
}
