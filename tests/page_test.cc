// The page of graph-dump --format=html in a real browser, where there is one:
// Debian's and Ubuntu's package chromium, or Google Chrome.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "graph/dump/formats.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/dump_cases.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

using Json = nlohmann::json;

// Seconds until a browser that hangs is killed.
constexpr int kTimeout = 120;

std::string FindBrowser() {
  for (const char* name : {"chromium", "chromium-browser", "google-chrome"})
    if (std::system(
            absl::StrCat("command -v ", name, " > /dev/null 2>&1").c_str()) ==
        0)
      return name;
  return "";
}

std::string RunCommand(const std::string& command) {
  std::string out;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return out;
  char chunk[4096];
  for (size_t n; (n = fread(chunk, 1, sizeof chunk, pipe)) > 0;)
    out.append(chunk, n);
  pclose(pipe);
  return out;
}

// Opens the page, runs the body of a function after it and gives what that
// returns; "errors" are those of the console.
Json RunInPage(const std::string& name, const std::string& page,
               const std::string& script) {
  const std::string watched = absl::StrReplaceAll(
      page, {{"<head>",
              "<head><script>window.errors = [];"
              "addEventListener('error', e => errors.push(e.message));"
              "console.error = (...a) => errors.push(a.join(' '));</script>"}});
  const std::string path = ScratchPath(name);
  std::ofstream(path)
      << watched << "<script>let result; try { result = (() => {" << script
      << "})(); } catch (e) { errors.push(e.stack); }"
         "const out = document.createElement('pre');"
         "out.id = 'result';"
         "out.textContent = 'RESULT' + JSON.stringify({result, "
         "errors}) + 'END'; document.body.append(out);</script>";
  const std::string dom = RunCommand(absl::StrCat(
      "timeout ", kTimeout, " ", FindBrowser(),
      " --headless=new --no-sandbox --disable-gpu --window-size=1400,900"
      " --user-data-dir=",
      ScratchPath("browser"), " --dump-dom file://", path, " 2>/dev/null"));
  const size_t begin = dom.rfind("RESULT"), end = dom.rfind("END</pre>");
  if (begin == std::string::npos || end == std::string::npos) {
    ADD_FAILURE() << "the browser gave no result but " << dom.substr(0, 2000);
    return Json();
  }
  const std::string text =
      absl::StrReplaceAll(dom.substr(begin + 6, end - begin - 6),
                          {{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}});
  Json json = Json::parse(text, nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << text;
  EXPECT_TRUE(json["errors"].empty()) << json["errors"];
  return json["result"];
}

class Page : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::string(WEFT_EMULATOR) != "")
      GTEST_SKIP() << "pages are the same without an emulator";
    if (FindBrowser().empty())
      GTEST_SKIP() << "no chromium, chromium-browser or google-chrome";
  }
};

TEST_F(Page, ShowsEveryNodeOfEveryPass) {
  const Dump dump = WholeDump({.layers = 2}, Numerics::kFast);
  const Json result = RunInPage("small.html", WriteHtml(dump), R"(
    const lost = [], counts = [];
    W.stages.forEach((_, k) => {
      weft.setStage(k);
      counts.push([W.stage(k).order.length,
                   parseInt(document.getElementById('changes').textContent)]);
      for (const n of W.stage(k).order) {
        weft.select(n);
        const shown = document.getElementById('panel').textContent;
        const at = weft.drawnFor(n);
        const box = document.querySelector(`.node[data-n="${at}"]`);
        if (weft.view.stage.index !== k ||
            !shown.includes('%' + W.nodes[n].number))
          lost.push(['panel', k, n]);
        if (W.nodes[n].drawn && !(box && box.classList.contains('selected')))
          lost.push(['box', k, n]);
        if (!W.nodes[n].drawn && at >= 0 && !box) lost.push(['reader', k, n]);
      }
    });
    return {lost, counts};)");
  EXPECT_TRUE(result["lost"].empty()) << result["lost"];
  ASSERT_EQ(result["counts"].size(), dump.stages.size());
  for (size_t k = 0; k < dump.stages.size(); ++k) {
    EXPECT_EQ(result["counts"][k][0], dump.stages[k].nodes.size());
    EXPECT_EQ(result["counts"][k][1], dump.stages[k].nodes.size());
  }
}

TEST_F(Page, FindsFoldsAndColours) {
  const Dump dump = WholeDump({.layers = 6}, Numerics::kFast);
  const Json result = RunInPage("fold.html", WriteHtml(dump), R"(
    const boxes = () => document.querySelectorAll('.node').length;
    const r = {folded: weft.view.scene.blocks.length};
    weft.foldAll(true);
    r.unfolded = weft.view.scene.blocks.length;
    weft.foldAll(false);
    r.again = weft.view.scene.blocks.length;
    const search = document.getElementById('search');
    search.value = 'op:attention';
    search.oninput();
    r.listed = document.querySelectorAll('#results [data-go]').length;
    r.hits = weft.view.hits.size;
    search.value = 'attn_q dtype:q8_0';
    search.oninput();
    r.weights = document.querySelectorAll('#results [data-go]').length;
    search.onkeydown({key: 'Enter', preventDefault() {}});
    r.panel = document.getElementById('panel').textContent;
    search.value = '';
    search.oninput();
    const colour = document.getElementById('colour');
    r.modes = [...colour.options].map(o => o.value);
    r.fills = r.modes.map(m => {
      colour.value = m;
      colour.onchange({target: colour});
      const all = [...document.querySelectorAll('.node > .box')];
      return new Set(all.map(e => e.style.fill)).size;
    });
    document.activeElement.blur();
    const press = key => document.body.dispatchEvent(
        new KeyboardEvent('keydown', {key, bubbles: true}));
    press('[');
    r.stage = weft.view.stage.index;
    press('ArrowRight');
    press('ArrowDown');
    r.walked = weft.view.selected >= 0;
    press('Escape');
    r.cleared = weft.view.selected;
    press('t');
    r.theme = document.documentElement.dataset.theme;
    r.lanes = document.querySelectorAll('#lanes .b').length;
    r.peak = document.querySelector('#lanes .peaktext').textContent;
    dispatchEvent(new Event('beforeprint'));
    r.printed = boxes();
    dispatchEvent(new Event('afterprint'));
    return r;)");
  EXPECT_GT(result["unfolded"], result["folded"]);
  EXPECT_EQ(result["again"], result["folded"]);
  EXPECT_EQ(result["listed"], 6);
  EXPECT_GE(result["hits"], 6);
  EXPECT_EQ(result["weights"], 6);
  EXPECT_NE(result["panel"].get<std::string>().find("attn_q"),
            std::string::npos);
  EXPECT_EQ(result["modes"].dump(),
            R"(["op","dtype","size","bytes","operations","time","limit"])");
  for (const Json& fills : result["fills"]) EXPECT_GT(fills, 1) << result;
  EXPECT_EQ(result["stage"], dump.stages.size() - 2);
  EXPECT_EQ(result["walked"], true);
  EXPECT_EQ(result["cleared"], -1);
  EXPECT_TRUE(result["theme"] == "dark" || result["theme"] == "light");
  EXPECT_EQ(result["lanes"], dump.plan.buffers.size());
  EXPECT_NE(result["peak"].get<std::string>().find("peak"), std::string::npos);
  EXPECT_GT(result["printed"], 40);
}

TEST_F(Page, OpensAModelOfEightyLayers) {
  const Dump dump = WholeDump({.layers = 80}, Numerics::kFast);
  const std::string page = WriteHtml(dump);
  const Json result = RunInPage("large.html", page, R"(
    const opened = performance.now();
    const lost = [], order = weft.view.stage.order;
    for (let i = 0; i < order.length; i += 41) {
      weft.select(order[i]);
      const at = weft.drawnFor(order[i]);
      if (at >= 0 && !document.querySelector(`.node[data-n="${at}"]`))
        lost.push(order[i]);
    }
    weft.foldAll(true);
    weft.fit();
    return {opened, lost, boxes: document.querySelectorAll('.node').length,
            layers: document.querySelectorAll('.layer').length};)");
  EXPECT_TRUE(result["lost"].empty()) << result["lost"];
  EXPECT_EQ(result["layers"], 80);
  EXPECT_GT(result["boxes"], 1000);
  // 2 s on a machine that does nothing else; here it is shared.
  EXPECT_LT(result["opened"], 10000);
  RecordProperty("opened_ms", result["opened"].dump());
  std::printf("opened in %.0f ms, %zu bytes\n", result["opened"].get<double>(),
              page.size());
}

}  // namespace
}  // namespace weft::inline v0
