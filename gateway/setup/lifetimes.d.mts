import type { ChildProcess, SpawnOptions } from 'node:child_process';

/** Starts a program, in a process group of its own, that ends when this process does, even by `kill -9` (Linux). */
export function spawnBound(program: string, args: readonly string[], options: SpawnOptions): ChildProcess;
