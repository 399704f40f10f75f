import type { z } from 'zod';
import type { GatewayFile } from './schema/gateway.ts';
import { REDACTED } from './secret.ts';

type Parsed = z.output<typeof GatewayFile>;
type ParsedIdentity = NonNullable<Parsed['identity']>;
type ParsedIssuer = NonNullable<ParsedIdentity['jwt']>[number];

/** The Consul agent, and how it is used; paths are absolute. */
export type ConsulConfig = Readonly<NonNullable<Parsed['discovery']['consul']>>;

/** One issuer of tokens: a secret, the PEM text of public keys, or where its keys are to be had. */
export type IssuerConfig = Readonly<Omit<ParsedIssuer, 'publicKey'>> & {
  readonly publicKey: string | undefined;
};

/** Whose credentials are believed. */
export interface IdentityConfig {
  readonly jwt: readonly IssuerConfig[];
  readonly tokenBytesMax: number;
}

/**
 * gateway.yaml, understood: milliseconds and bytes, absolute paths, no default missing. Secrets are wrapped: whoever
 * prints it prints `[redacted]`.
 */
export type GatewayConfig = Readonly<Omit<Parsed, 'identity'>> & {
  readonly identity: IdentityConfig | undefined;
};

/** The configuration as operators may see it: `GET /api/config`. Digests of tokens are left out as well. */
export function redactedGateway(config: GatewayConfig): unknown {
  return JSON.parse(JSON.stringify(config, (key, value: unknown) => (key === 'sha256' ? REDACTED : value))) as unknown;
}
