# Of one product, whatever tiles its contenders are cut into, there is a row in mixed precision by the back end in force (on AMX another by oneDNN).
$ addnorm bench --what products --shape 768,512,512 --seconds 0.001 -q | grep -c "^a b, bf16  "
1
