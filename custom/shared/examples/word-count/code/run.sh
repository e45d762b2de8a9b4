#!/bin/sh
# Which words does each text use most, and how many does it have?
set -eu
total=$(ls /input/*.txt | wc -l)
done=0
printf 'text,words,different\n' >/output/texts.csv
for text in /input/*.txt; do
  name=$(basename "$text" .txt)
  tr -cs '[:alpha:]' '\n' <"$text" | tr '[:upper:]' '[:lower:]' | sed '/^$/d' | sort >/tmp/words
  printf '%s,%s,%s\n' "$name" "$(wc -l </tmp/words)" "$(uniq /tmp/words | wc -l)" >>/output/texts.csv
  uniq -c /tmp/words | sort -k1,1nr -k2 | head -n 10 >"/output/$name.top10.txt"
  done=$((done + 1))
  echo "$name: $(wc -l </tmp/words) words"
  echo "labbox:progress $done/$total"
done
