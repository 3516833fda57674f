// Greedy tokens by weft and by llama.cpp (through node-llama-cpp, which has it
// built), of made-up models of every architecture or of files. Not part of the
// test suite, which needs no network:
//
//   cd "$(mktemp -d)" && npm init -y && npm install node-llama-cpp
//   cp WEFT/tests/peer/compare.mjs .
//   node compare.mjs WEFT/build/release/bin [ARCH | FILE.gguf ...]
//
// Of a file the ids of the texts below are compared as well; of bert, which
// makes no tokens, the largest difference of an embedding. Caches are f32 in
// both and weft's numerics exact. The made-up models' weights are f32, so that
// both compute the same but for the order of sums. llama.cpp rounds what it
// multiplies quantised weights with to 8 bits: where two tokens are nearly
// equal they may change places, after which nothing is comparable. Such a place
// is told with the margin of weft's choice over the peer's, which must be less
// than what that rounding does to weft's own logits there. It may also send a
// token to another expert, which changes more. Without it both must agree on
//
//   weft-quantize --in=FILE --out=f32.gguf --type=f32 --allow_requantize
import {execFileSync} from "node:child_process";
import {mkdtempSync, readFileSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {basename, join} from "node:path";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [bin, ...wanted] = process.argv.slice(2);
if (!bin) {
  console.error("node compare.mjs WEFT/build/release/bin [ARCH | FILE ...]");
  process.exit(1);
}
const architectures = [
  "llama", "mixtral", "granite", "qwen2", "qwen3", "qwen3moe", "gemma2",
  "gemma3", "phi3", "gpt2", "falcon", "starcoder2", "olmo2", "gpt-oss",
  "deepseek2", "mamba", "mpt", "bert"];
// What is no architecture of its own.
const flags = {mixtral: ["--arch=llama", "--experts=8"]};
const texts = [
  "Once upon a time, there was a little girl named Lily.",
  "One day, a young fox found a box. \"What is in it?\" he asked.",
  "The sun was hot and the river was dry,",
  "Sam and his mother went to the market to buy",
  "It was dark. Nobody"];
// Longer than the windows of these models, 64 tokens.
const madeUpPrompt = Array.from({length: 200}, (_, i) => 100 + (i * 37) % 150);
const kMadeUpTokens = 24;
const kFileTokens = 64;
// Orders of sums alone: many times what they change in f32.
const kTolerance = 1e-3;
const folder = mkdtempSync(join(tmpdir(), "weft-peer-"));

const weft = (program, ...args) =>
  execFileSync(join(bin, program), args, {encoding: "utf8", stdio: [
    "ignore", "pipe", "pipe"]});
const numbers = text => text.trim().split(/\s+/).filter(Boolean).map(Number);

// weft's logits after the last of the tokens.
function lastLogits(path, tokens, numerics) {
  const out = join(folder, "logits.f32");
  weft("weft-eval", "logits", `--model=${path}`, `--numerics=${numerics}`,
    `--tokens=${tokens}`, `--out=${out}`);
  const bytes = readFileSync(out);
  const all = new Float32Array(
    bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  return all.subarray(all.length - all.length / tokens.length);
}

async function greedyOfPeer(model, prompt, count) {
  const context = await model.createContext({
    contextSize: 512, sequences: 1, threads: 1, flashAttention: false,
    experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32"});
  const tokens = [];
  const options = {temperature: 0, yieldEogToken: true};
  for await (const token of context.getSequence().evaluate(prompt, options)) {
    tokens.push(token);
    if (tokens.length == count) break;
  }
  await context.dispose();
  return tokens;
}

// [a line that says how it went, whether it is well]
async function compareGreedy(model, path, prompt, count) {
  const ours = numbers(weft("weft-eval", "greedy", `--model=${path}`,
    "--numerics=exact", `--tokens=${prompt}`, `--max_tokens=${count}`));
  const theirs = await greedyOfPeer(model, prompt, count);
  const at = ours.findIndex((token, i) => token != theirs[i]);
  if (at < 0 && ours.length == count) return [`${count} equal`, true];
  if (at < 0) return [`only ${ours.length} here`, false];
  const seen = [...prompt, ...ours.slice(0, at)];
  const exact = lastLogits(path, seen, "exact");
  const rounded = lastLogits(path, seen, "fast");
  const margin = exact[ours[at]] - exact[theirs[at]];
  const noise = exact.reduce(
    (most, x, i) => Math.max(most, Math.abs(x - rounded[i])), 0);
  return [`${at} equal, then ${ours[at]} here and ${theirs[at]} there; ` +
    `margin ${margin.toExponential(1)}, 8-bit activations move a logit by ` +
    `up to ${noise.toExponential(1)}`,
    margin <= Math.max(kTolerance, 2 * noise)];
}

async function compareText(model, path, text) {
  const ids = numbers(weft("weft-eval", "tokenize", `--model=${path}`,
    `--text=${text}`));
  const theirs = model.tokenize(text);
  if (`${ids}` != `${theirs}`)
    return [`ids [${ids}] here and [${theirs}] there`, false];
  const prompt = numbers(weft("weft-eval", "tokenize", "--special",
    `--model=${path}`, `--text=${text}`));
  return compareGreedy(model, path, prompt, kFileTokens);
}

// Vectors of length 1.
async function compareEmbedding(model, path) {
  const text = "abc def ghi";
  const ours = JSON.parse(weft("weft-run", `--model=${path}`, "--embed",
    "--embed_format=json", "--numerics=exact", `--prompt=${text}`)).embedding;
  const context = await model.createEmbeddingContext(
    {contextSize: 128, threads: 1});
  const theirs = (await context.getEmbeddingFor(text)).vector;
  const length = Math.hypot(...theirs);
  const worst = Math.max(...ours.map(
    (x, i) => Math.abs(x - theirs[i] / length)));
  return [`embeddings within ${worst.toExponential(1)}`, worst < kTolerance];
}

// One thread: more of them wait for each other in loops, for minutes where the
// machine has something else to do.
const llama = await getLlama(
  {gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: 1});
let failed = 0;
function report(name, [line, well]) {
  if (!well) ++failed;
  console.log(`${name}: ${line}${well ? "" : "  DIFFERS"}`);
}
console.log(`llama.cpp ${llama.llamaCppRelease.release}`);
for (const name of wanted.length > 0 ? wanted : architectures) {
  const isFile = name.endsWith(".gguf");
  const path = isFile ? name : join(folder, `${name}.gguf`);
  try {
    if (!isFile)
      weft("weft-synth", "--preset=tiny", "--type=f32", `--out=${path}`,
        ...(flags[name] || [`--arch=${name}`]));
    const model = await llama.loadModel({modelPath: path, gpuLayers: 0});
    if (isFile) {
      for (const text of texts)
        report(`${basename(path)}, "${text.slice(0, 16)}..."`,
          await compareText(model, path, text));
    } else if (name == "bert") {
      report(name, await compareEmbedding(model, path));
    } else {
      report(name,
        await compareGreedy(model, path, madeUpPrompt, kMadeUpTokens));
    }
    await model.dispose();
  } catch (error) {
    report(name, [String(error.stderr || error).trim(), false]);
  }
  if (!isFile) rmSync(path, {force: true});
}
rmSync(folder, {recursive: true});
process.exit(failed > 0 ? 1 : 0);
