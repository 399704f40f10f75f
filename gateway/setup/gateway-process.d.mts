/** What the set-up must know of a configuration. */
export declare function outlineOf(configFile: string): Promise<{
  gateway: { host: string; port: number };
  admin: { host: string; port: number };
  routesFile: string;
  user: string | undefined;
  services: string[];
  entries: string[];
}>;

/** Follows the gateway's log while R starts, and says why an R does not. */
export declare function createStarts(): {
  hear(line: string): string | undefined;
  hopeless(): string | undefined;
};
