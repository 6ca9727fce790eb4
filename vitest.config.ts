import { defineConfig } from 'vitest/config';

/** `unit`: beside the code, no cluster. `scenario`: the built executable with real kubectl and containerd, one file at a time. */
export default defineConfig({
  test: {
    // Limits for tests that hang, wide enough for a machine that does other work besides.
    testTimeout: 30_000,
    expect: { poll: { timeout: 20_000 } },
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
