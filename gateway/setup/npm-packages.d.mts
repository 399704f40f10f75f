/** Installs the npm packages of the lock file where any is missing or of another version. */
export function ensureNpmPackages(root?: string): Promise<void>;

/** The paths of the packages that the lock file asks for and node_modules does not hold. */
export function missingPackages(root: string): string[];
