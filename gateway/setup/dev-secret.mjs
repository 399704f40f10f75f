import { ensureDevSecret } from './state.mjs';

// For docker-compose.yml, whose gateways share the secret in a volume. `npm start` does the same by itself.
ensureDevSecret();
