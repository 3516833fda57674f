#!/usr/bin/env python3
"""Writes templates.json: conversations and constructs as python3-jinja2 renders
them, in the way in which Hugging Face's tools set it up.

Needs Debian's python3-jinja2. Run it in this folder; the templates of published
models are read from ../../../shared/golden/templates and not copied, their
output is.
"""
import glob
import json
import os

import jinja2
import jinja2.ext
import jinja2.sandbox

NOW = 1722470400  # 2024-08-01, UTC

TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a <city> & more.",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "Name of the city"},
        "days": {"type": "integer", "description": "How many", "default": 1},
        "units": {"type": ["string", "null"], "enum": ["°C", "°F"]},
        "tags": {"type": "array", "items": {"type": "string"}}},
        "required": ["city"]},
    "return": {"type": "string", "description": "In words"}}},
    {"type": "function", "function": {
        "name": "add", "description": "Adds.", "parameters": {
            "type": "object", "properties": {
                "a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"]}}}]
USER = {"role": "user", "content": "Hello, how are you?"}
SYSTEM = {"role": "system", "content": "  You are brief.\n"}
ANSWER = {"role": "assistant", "content": "Fine. <ok> & \"you\"?"}
THINKING = {"role": "assistant",
            "content": "<think>\nHm…\n</think>\n\nWell 你好."}
CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"id": "call12345", "type": "function", "function": {
        "name": "get_weather", "arguments": {"city": "Köln", "days": 2}}}]}
RESULT = {"role": "tool", "name": "get_weather", "tool_call_id": "call12345",
          "content": "{\"sky\": \"grey\"}"}
CONVERSATIONS = {
    "one": dict(messages=[USER], add_generation_prompt=True),
    "system": dict(messages=[SYSTEM, USER], add_generation_prompt=True),
    "turns": dict(messages=[SYSTEM, USER, ANSWER, USER, THINKING, USER],
                  add_generation_prompt=True),
    "ended": dict(messages=[USER, ANSWER], add_generation_prompt=False),
    "tools": dict(messages=[SYSTEM, USER], tools=TOOLS,
                  add_generation_prompt=True),
    "simple": dict(messages=[USER], tools=TOOLS[1:],
                   add_generation_prompt=True),
    "called": dict(messages=[USER, CALL, RESULT, ANSWER, USER], tools=TOOLS,
                   add_generation_prompt=True),
    "thinking": dict(messages=[USER, THINKING, USER],
                     add_generation_prompt=True, enable_thinking=False),
    "wrong": dict(messages=[USER, USER, {"role": "odd", "content": "x"}],
                  add_generation_prompt=True),
}

# Each line a template of its own, over the conversation "called".
CONSTRUCTS = r"""
{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }}
{{ 1.5 + 1 }} {{ 10 / 4 }} {{ 1e3 }} {{ 0.1 + 0.2 }} {{ 1e20 }} {{ 3.0 }} {{ 1e-7 }}
{{ 'a' ~ 1 ~ none ~ true ~ 1.0 }} {{ 'ab' * 3 }} {{ [1] * 2 + [3] }}
{{ 'x' in 'xyz' }} {{ 4 not in [1, 2] }} {{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }}
{{ true and 'yes' or 'no' }} {{ not 1 == 2 }} {{ 'a' if false }} {{ 'a' if 0 else 'b' }}
{{ [1, 'two', 3.0, none, true, {'k': [1, (2, 3), (4,)]}] }} {{ ('a', "it's", 'q"') }}
{{ 'hello'[1] }} {{ 'hello'[-3:] }} {{ 'hello'[::-1] }} {{ [1,2,3,4][1:3] }} {{ 'äöü'[1:] }}
{{ messages[0].role }} {{ messages[0]['content'][:5] }} {{ messages[-1].nothing }}|
{{ messages | length }} {{ 'äöü' | length }} {{ {'a': 1} | length }}
{{ undefined_thing }}|{{ undefined_thing is defined }}|{{ undefined_thing | default('d') }}
{{ '' | default('d') }}|{{ '' | default('d', true) }}|{{ none | default('d') }}
{{ '  x ' | trim }}|{{ ' x '.strip() }}|{{ 'xxay'.lstrip('x') }}|{{ 'a.b..'.rstrip('.') }}|
{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.split(' ', 1) }} {{ 'a-b-c'.rsplit('-', 1) }}
{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }} {{ 'a b'.title() }} {{ 'ß É'.upper() }}
{{ 'aXbX'.replace('X', '-') }} {{ 'aXbX'.replace('X', '-', 1) }} {{ 'abc' | replace('b', '') }}
{{ 'hello world' | title }} {{ 'hELLO' | capitalize }} {{ 'A' | lower }} {{ 'a' | upper }}
{{ [3, 1, 2] | sort }} {{ ['b', 'A', 'c'] | sort }} {{ [1, 2] | sort(reverse=true) }}
{{ [3, 1, 2] | max }} {{ [3, 1] | min }} {{ [1, 2] | sum }} {{ [1, 1, 2] | unique | list }}
{{ ['a', 'b'] | join(', ') }} {{ [1, 2] | join }} {{ messages | map(attribute='role') | join('|') }}
{{ [1, 2, 3, 4] | select('odd') | list }} {{ [0, 1, ''] | reject | list }}
{{ messages | selectattr('role', 'equalto', 'user') | list | length }}
{{ messages | rejectattr('role', 'in', ['user', 'tool']) | map(attribute='role') | list }}
{{ ['a', 'b'] | map('upper') | list }} {{ [1.5, 2.5, -0.5] | map('round') | list }}
{{ [1, 2, 3] | first }} {{ [1, 2, 3] | last }} {{ [1, 2, 3] | reverse | list }} {{ 'abc' | reverse }}
{{ {'b': 1, 'a': 2} | dictsort }} {{ {'b': 1, 'a': 2}.items() | list }} {{ {'x': 1}.get('y', 5) }}
{{ {'b': 1, 'a': [1, 2.5, none, true]} | tojson }} {{ 'é<&>"\n' | tojson }} {{ 'é😀' | tojson(ensure_ascii=true) }}
{{ {'b': {'c': [1, 2]}, 'a': [], 'd': {}} | tojson(indent=2) }}
{{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=(',', ':')) }}
{{ tools | tojson }} {{ tools[0].function.parameters.properties | items | list | length }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(1, blank=true) }}
{{ '%s has %d and %.2f' | format('x', 3, 1.005) }} {{ '%05d|%-5s|' % (42, 'ab') }}
{{ '42' | int }} {{ 'x' | int(7) }} {{ '3.7' | int }} {{ '2.5' | float }} {{ 7 | string ~ '!' }}
{{ -3 | abs }} {{ 2.567 | round(2) }} {{ 2.1 | round(0, 'ceil') }} {{ 3.7 | int }}
{{ 'one two three' | wordcount }} {{ 'one two three four' | truncate(10) }} {{ 'a b/c' | urlencode }}
{{ '<a href="x">' | e }} {{ '<b>' | safe }} {{ [1, 2, 3, 4, 5] | batch(2, 0) | list }}
{% for g in messages | groupby('role') %}{{ g[0] }}:{{ g[1] | length }};{% endfor %}
{% for x in [1, 2, 3] %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }}{{ loop.revindex0 }}{% endfor %}
{% for x in [] %}x{% else %}empty{% endfor %} {% for a, b in [(1, 2), (3, 4)] %}{{ a + b }} {% endfor %}
{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x > 4 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in [1, 2, 3, 4] if x is even %}{{ loop.index0 }}={{ x }} {% endfor %}{{ range(5, 1, -2) | list }}
{% for x in ['a', 'b', 'c'] %}{{ loop.previtem }}{{ x }}{{ loop.nextitem }}{{ loop.cycle('!', '?') }}{{ loop.changed(x == 'c') }} {% endfor %}
{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}{% for c in 'äb' %}<{{ c }}>{% endfor %}
{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}
{% set ns = namespace(x=1, y='a') %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns.y }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set t %}block {{ a }}{% endset %}[{{ t }}]{% set u | upper %}x{% endset %}{{ u }}
{% macro m(a, b='B', c=none) %}({{ a }},{{ b }},{{ c }}){% endmacro %}{{ m(1) }}{{ m(1, c=3) }}{{ m('x', 'y') }}
{% macro r(n) %}{{ n }}{% if n > 0 %},{{ r(n - 1) }}{% endif %}{% endmacro %}{{ r(3) }}
{% macro w() %}<{{ caller() }}>{% endmacro %}{% call w() %}inner{% endcall %} {% filter upper %}abc{% endfilter %}
{% macro v() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ v(1, 2, z=3) }} {% with q = 5 %}{{ q }}{% endwith %}{{ q }}
{% if messages[0] is mapping and messages is sequence and 'a' is string %}1{% elif true %}2{% else %}3{% endif %}
{{ 1 is number }} {{ true is boolean }} {{ 1.5 is float }} {{ 3 is odd }} {{ 9 is divisibleby(3) }} {{ none is none }}
{{ 'a' is iterable }} {{ 1 is iterable }} {{ 5 is gt(3) }} {{ 5 is eq 5 }} {{ 'A' is upper }} {{ 1 is sameas true }} {{ m is callable }}
{{ "esc \" \\ \n \t \x41 \u00e9 'q'" }} {{ 'con' 'cat' }} {# comment #}after
{{ dict(a=1, b='x') }} {% set j = joiner('; ') %}{{ j() }}a{{ j() }}b {% set c = cycler('o', 'e') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}
{% raw %}{{ not run }} {% if %}{% endraw %} {{ '{{' }} {{ "%}" }}
{{ strftime_now('%Y-%m-%d') }} {{ strftime_now('%d %b %Y') }}
  {%- if true -%}   trimmed   {%- endif -%}   end
{{ messages[1].tool_calls[0].function.arguments | tojson }} {{ messages[1]['tool_calls'] is defined }}
{{ (messages | first).content.split(',')[0] | upper }} {{ messages[1:][0].role }} {{ messages[::2] | length }}
{{ 'a=%s' % 'b' }} {{ 'x'.join(['1', '2']) }} {{ 'abcabc'.find('c') }} {{ 'aXa'.count('a') }} {{ 'a\nb\r\nc'.splitlines() }}
{{ 'test'.removeprefix('te') }} {{ 'test'.removesuffix('st') }} {{ '12'.isdigit() }} {{ 'ab1'.isalnum() }} {{ ' '.isspace() }}
{{ [1, [2, [3]]] == [1, [2, [3]]] }} {{ {'a': 1} == {'a': 1.0} }} {{ [1, 2] < [1, 3] }} {{ 1 != '1' }}
{{ 5 if messages else 6 }} {{ (1, 2)[0] }} {{ [[1, 2], [3]] | map('length') | list }} {{ [{'a': {'b': 1}}] | map(attribute='a.b') | list }}
{{ messages[0].content is not string }} {{ messages[0].x is not defined }} {{ not messages[0].x }}
""".strip("\n").split("\n")

# Templates of several lines: white space.
BLOCKS = [
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n",
    "a\n  {%+ if true %}\n  b\n  {% endif +%}\nc\n\n",
    "{# c #}\nx\n  {# d -#}\n  y\n",
    "{% for x in [1, 2] %}\n  {{ x }}\n{% endfor %}\nend",
    "  {{ 1 }}  \n\t{%- set x = 1 %}\n{{- x -}}\n  z",
    "{% macro m() %}\n  in\n{% endmacro %}\n[{{ m() }}]\r\nnext\rlast",
    "{%- raw -%}\n  {{ x }}\n{%- endraw %}\nafter",
    "x {% if true %} y {% endif %} z\n   {% set q = 1 %}   \nw",
]


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None,
               sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent,
                          separators=separators, sort_keys=sort_keys)

    def strftime_now(format):
        import datetime
        return datetime.datetime.fromtimestamp(
            NOW, datetime.timezone.utc).strftime(format)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True,
        extensions=[jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


def render(source, conversation):
    values = dict(bos_token="<s>", eos_token="</s>", tools=None,
                  documents=None)
    values.update(conversation)
    try:
        return environment().from_string(source).render(**values)
    except Exception as error:
        # weft's items are lists, which JSON has.
        return None if "generator is not JSON" in str(error) else {
            "error": type(error).__name__}


def main():
    published = {}
    for path in sorted(glob.glob("../../../shared/golden/templates/*.jinja")):
        with open(path) as file:
            source = file.read()
        name = os.path.basename(path)
        print(name)
        published[name] = {c: render(source, v)
                           for c, v in CONVERSATIONS.items()}
    constructs = [{"source": s, "text": render(s, CONVERSATIONS["called"])}
                  for s in CONSTRUCTS + BLOCKS]
    for one in constructs:
        assert isinstance(one["text"], str), one
    with open("templates.json", "w") as out:
        json.dump(dict(now=NOW, conversations=CONVERSATIONS,
                       published=published, constructs=constructs), out,
                  ensure_ascii=False, indent=1)
        out.write("\n")


main()
