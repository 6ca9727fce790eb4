import { storeConformance } from '#store/conformance.ts';
import { createMemoryStore } from './memory-store.ts';

storeConformance('memory', async () => createMemoryStore());
