import { expect, test } from 'vitest';
import { channels, closeFrame, encodeFrame, FrameDecoder } from './frames.ts';

test('frames survive being cut at every byte', () => {
  const bytes = Buffer.concat([
    encodeFrame(channels.stdin, Buffer.from('hello')),
    encodeFrame(channels.stdout, Buffer.alloc(0)),
    closeFrame(channels.stdin),
  ]);
  const decoder = new FrameDecoder();
  const frames = [...bytes].flatMap((byte) => [...decoder.push(Buffer.of(byte))].map((f) => [f.channel, f.payload.toString('latin1')]));
  expect(frames).toEqual([
    [0, 'hello'],
    [1, ''],
    [255, '\0'],
  ]);
});

test('a frame that claims to be huge is refused', () => {
  expect(() => [...new FrameDecoder().push(Buffer.of(255, 255, 255, 255, 0))]).toThrow('not allowed');
});
