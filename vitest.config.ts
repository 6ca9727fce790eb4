import { defineConfig } from 'vitest/config';

/** `unit`: beside the code, no cluster. `scenario`: the built executable with real kubectl and containerd, one file at a time. */
export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts', 'build/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'scenario',
          include: ['test/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
