// Greedy tokens of made-up models of every architecture, by weft and by
// llama.cpp (through node-llama-cpp, which has it built). Not part of the test
// suite, which needs no network:
//
//   cd "$(mktemp -d)" && npm init -y && npm install node-llama-cpp
//   cp WEFT/tests/peer/compare.mjs .
//   node compare.mjs WEFT/build/release/bin [ARCH | FILE.gguf ...]
//
// Prints a line for each: how many tokens are equal, and the first that is not;
// of bert the largest difference of an embedding.
// Weights are f32, so that both compute the same but for the order of sums and
// the rounding of the caches to f16: where two tokens are nearly equal (see
// weft-eval logits) they may change places, after which nothing is comparable.
import {execFileSync} from "node:child_process";
import {mkdtempSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [bin, ...wanted] = process.argv.slice(2);
// bert makes embeddings instead of tokens.
const all = ["bert", "llama", "granite", "qwen2", "qwen3", "qwen3moe",
             "gemma2", "gemma3", "phi3", "gpt2", "falcon", "starcoder2",
             "olmo2", "gpt-oss", "deepseek2", "mamba", "mpt"];
const kTokens = 24;
const prompt = Array.from({length: 20}, (_, i) => 100 + (i * 37) % 150);
const folder = mkdtempSync(join(tmpdir(), "weft-peer-"));

const weft = (program, ...args) =>
  execFileSync(join(bin, program), args, {encoding: "utf8", stdio: [
    "ignore", "pipe", "pipe"]});

async function greedyOfPeer(llama, modelPath) {
  const model = await llama.loadModel({modelPath, gpuLayers: 0});
  const context = await model.createContext({contextSize: 256, sequences: 1});
  const tokens = [];
  const options = {temperature: 0, yieldEogToken: true};
  for await (const token of context.getSequence().evaluate(prompt, options)) {
    tokens.push(token);
    if (tokens.length == kTokens) break;
  }
  await model.dispose();
  return tokens;
}

// The largest difference of a text's embeddings, vectors of length 1.
async function embeddingDifference(llama, modelPath) {
  const text = "abc def ghi";
  const ours = JSON.parse(execFileSync(join(bin, "weft-run"),
    [`--model=${modelPath}`, "--embed", "--embed_format=json",
     "--numerics=exact"],
    {input: text + "\n", encoding: "utf8", stdio: ["pipe", "pipe", "pipe"]}));
  const model = await llama.loadModel({modelPath, gpuLayers: 0});
  const context = await model.createEmbeddingContext({contextSize: 128});
  const theirs = (await context.getEmbeddingFor(text)).vector;
  await model.dispose();
  const length = Math.hypot(...theirs);
  return Math.max(...ours.embedding.map(
    (x, i) => Math.abs(x - theirs[i] / length)));
}

const llama = await getLlama(
  {gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: 2});
let failed = 0;
for (const arch of wanted.length > 0 ? wanted : all) {
  const isFile = arch.endsWith(".gguf");
  const path = isFile ? arch : join(folder, `${arch}.gguf`);
  try {
    if (!isFile)
      weft("weft-synth", "--preset=tiny", `--arch=${arch}`, "--type=f32",
        `--out=${path}`);
    if (arch == "bert") {
      const worst = await embeddingDifference(llama, path);
      if (!(worst < 1e-3)) ++failed;
      console.log(`bert: embeddings within ${worst.toExponential(1)}`);
      rmSync(path, {force: true});
      continue;
    }
    const ours = weft("weft-eval", "greedy", `--model=${path}`, "--kv=f16",
      "--numerics=exact", `--tokens=${prompt}`, `--max_tokens=${kTokens}`)
      .trim().split(/\s+/).map(Number);
    const theirs = await greedyOfPeer(llama, path);
    const at = ours.findIndex((token, i) => token != theirs[i]);
    if (at >= 0) ++failed;
    console.log(`${arch}: ` + (at < 0 ? `${ours.length} equal`
      : `${at} equal, then ${ours[at]} here and ${theirs[at]} there`));
  } catch (error) {
    ++failed;
    console.log(`${arch}: ${String(error.stderr || error).trim()}`);
  }
  if (!isFile) rmSync(path, {force: true});
}
rmSync(folder, {recursive: true});
process.exit(failed > 0 ? 1 : 0);
