import { join } from 'node:path';
import { afterAll } from 'vitest';
import { storeConformance } from '#store/conformance.ts';
import { openStore, temporaryDirectory } from './fixture.ts';

const directory = temporaryDirectory();
let files = 0;
afterAll(() => directory[Symbol.dispose]());

storeConformance('sqlite', () => openStore(join(directory.path, `${files++}.db`)));
