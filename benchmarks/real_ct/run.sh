#!/usr/bin/env bash
# The whole chain on a real CT, through the command line: nano teacher, swinunetr-tiny, bundle, label maps, scores.
#
#   benchmarks/real_ct/run.sh DATA OUT
#
# DATA holds dataset.json with one labelled abdomen (abdomen_ct.nii.gz) and an unlabelled torso (torso_ct.nii.gz).
# The abdomen is training and test case in one: its score shows that the chain learns, and nothing else.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=$(realpath "$1")
mkdir -p "$2"
cd "$2"
crops=(--batch 2 --positive 0.8 --balance-classes)

bedside train-teacher "$data" --task "$here/abdomen-3mm.toml" --sam vit_nano "${crops[@]}" \
    --epochs 20 --steps-per-epoch 25 --lr 0.001 --warmup 1 --validate-every 4 -o teacher
bedside distill "$data" --teacher teacher --student swinunetr-tiny --lambda 0.5 "${crops[@]}" \
    --epochs 70 --steps-per-epoch 10 --lr 0.0015 --warmup 2 --validate-every 7 -o student
bedside export student -o student.bedside --calibration "$data" --force

for precision in fp32 int8; do
    for scan in abdomen torso; do
        bedside segment student.bedside -i "$data/${scan}_ct.nii.gz" -o "${scan}_${precision}.nii.gz" \
            --precision "$precision" -q
    done
    bedside evaluate -p "abdomen_${precision}.nii.gz" -t "$data/abdomen_label.nii.gz" \
        --task "$here/abdomen-3mm.toml" --csv "abdomen_${precision}.csv"
done
