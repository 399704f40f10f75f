#!/usr/bin/env node
import { fileURLToPath } from 'node:url';
import { becomeNode } from './setup/become-node.mjs';

// Plain JavaScript, so that any Node from 20 on can start it; all it does is hand over to one that runs TypeScript.
becomeNode([fileURLToPath(new URL('main.ts', import.meta.url)), ...process.argv.slice(2)]);
