import type { MadeRoutes } from './config/compile.ts';
import type { GatewayConfig } from './config/gateway-config.ts';
import type { Observe } from './domain/events.ts';
import type { Clock, Random } from './domain/clock.ts';
import type { Roster, RosterAge, RosterSource } from './domain/roster.ts';
import { createConsulSource } from './edges/consul.ts';
import { createLocalSource } from './edges/r-processes.ts';
import type { Models } from './edges/onnx/transport.ts';
import type { Scripts } from './edges/rscript/transport.ts';
import type { Account } from './edges/user.ts';
import { createStaticSource } from './edges/static-roster.ts';

/** Where instances are known from, all sources as one. */
export interface Discovery {
  follow(compiled: MadeRoutes): void;
  ages(): readonly RosterAge[];
  /** Stops watching, and ends what `local` started. */
  close(): Promise<void>;
}

interface DiscoveryParts {
  /** Runs the scripts that `local` names. */
  readonly scripts: Scripts;
  /** Runs the ONNX files that `local` names. */
  readonly models: Models;
  readonly config: GatewayConfig;
  /** The path of plumber-services/serve.sh. */
  readonly serveCommand: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user that R runs as, where it is not the one that started the gateway. */
  readonly account: Account | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: Observe;
  readonly onRoster: (roster: Roster) => void;
}

/** The configured sources. `static` is always one of them: it holds the plain addresses that routes lead to. */
export function composeDiscovery(parts: DiscoveryParts): Discovery {
  const { consul, local, static: written } = parts.config.discovery;
  const fixed = createStaticSource({ ...parts, services: written });
  const sources: RosterSource[] = [fixed];
  let policies: MadeRoutes['services'] = new Map();
  const sharedSecretOf = (service: string) => policies.get(service)?.sharedSecret;
  if (local.length > 0) {
    sources.push(createLocalSource({ ...parts, entries: local, env: environmentOf(parts), sharedSecretOf }));
  }
  if (consul !== undefined) {
    const { address, datacenter, tag, emptyHoldMs, snapshot: snapshotPath } = consul;
    const config = { address, datacenter, tag, emptyHoldMs, snapshotPath, token: consul.token?.reveal() };
    sources.push(createConsulSource({ ...parts, config }));
  }
  const isShown = ({ name }: RosterSource) => name !== 'static' || sources.length === 1 || written.length > 0;

  return {
    follow({ services, statics }) {
      policies = services;
      fixed.replace([...written, ...statics]);
      for (const source of sources) source.follow(new Set(services.keys()));
    },
    ages: () => sources.filter(isShown).map(source => source.age()),
    async close() {
      await Promise.all(sources.map(source => source.close()));
    },
  };
}

/** What finds its way by the environment finds that of the user it runs as. */
function environmentOf({ env, account }: DiscoveryParts): DiscoveryParts['env'] {
  return account === undefined ? env : { ...env, HOME: account.home, USER: account.name, LOGNAME: account.name };
}
