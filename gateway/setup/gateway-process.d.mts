/** What the set-up must know of a configuration. */
export declare function outlineOf(configFile: string): Promise<{
  gateway: { host: string; port: number };
  admin: { host: string; port: number };
  routesFile: string;
  services: string[];
}>;
