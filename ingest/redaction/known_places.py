"""Countries, peoples and large cities, from general knowledge, in lower case."""

COUNTRIES = frozenset(
    " ".join(name.split())
    for name in """
    afghanistan, albania, algeria, andorra, angola, argentina, armenia, aruba, australia, austria, azerbaijan,
    bahamas, bahrain, bangladesh, barbados, belarus, belgium, belize, benin, bermuda, bhutan, bolivia, bosnia,
    bosnia and herzegovina, botswana, brazil, brunei, bulgaria, burkina faso, burundi, cambodia, cameroon, canada,
    cape verde, chad, chile, china, colombia, comoros, congo, costa rica, croatia, cuba, cyprus, czechia, czech
    republic, denmark, djibouti, dominica, dominican republic, ecuador, egypt, el salvador, england, eritrea,
    estonia, eswatini, ethiopia, faroe islands, fiji, finland, france, gabon, gambia, georgia, germany, ghana,
    gibraltar, greece, greenland, grenada, guam, guatemala, guinea, guyana, haiti, honduras, hong kong, hungary,
    iceland, india, indonesia, iran, iraq, ireland, israel, italy, ivory coast, jamaica, japan, jordan, kazakhstan,
    kenya, kosovo, kuwait, kyrgyzstan, laos, latvia, lebanon, lesotho, liberia, libya, liechtenstein, lithuania,
    luxembourg, macau, macedonia, madagascar, malawi, malaysia, maldives, mali, malta, mauritania, mauritius,
    mexico, moldova, monaco, mongolia, montenegro, morocco, mozambique, myanmar, namibia, nepal, netherlands, new
    zealand, nicaragua, niger, nigeria, north korea, northern ireland, norway, oman, pakistan, palestine, panama,
    papua new guinea, paraguay, peru, philippines, poland, portugal, puerto rico, qatar, romania, russia, rwanda,
    samoa, san marino, saudi arabia, scotland, senegal, serbia, seychelles, sierra leone, singapore, slovakia,
    slovenia, somalia, south africa, south korea, south sudan, spain, sri lanka, sudan, suriname, sweden,
    switzerland, syria, taiwan, tajikistan, tanzania, thailand, togo, tonga, trinidad and tobago, tunisia, turkey,
    turkmenistan, uganda, ukraine, united arab emirates, united kingdom, united states, united states of america,
    uruguay, uzbekistan, vanuatu, vatican, venezuela, vietnam, wales, western sahara, yemen, zambia, zimbabwe, usa,
    u.s., u.s.a., uk, u.k., uae, africa, asia, europe, south america, north america, scandinavia
    """.split(",")  # noqa: SIM905 - a list of names reads as one
)
CITIES = frozenset(
    " ".join(name.split())
    for name in """
    aarhus, aberdeen, abuja, accra, adelaide, alabama, alaska, albuquerque, alexandria, algiers, alicante, amman,
    amsterdam, ankara, antwerp, arizona, arkansas, athens, atlanta, auckland, austin, baghdad, baku, baltimore,
    bangalore, bangkok, barcelona, bari, basel, beijing, beirut, belfast, belgrade, bergen, berlin, bern, bilbao,
    birmingham, bogota, bologna, bombay, bonn, bordeaux, boston, brasilia, bratislava, bremen, brisbane, bristol,
    brno, brooklyn, brussels, bucharest, budapest, buenos aires, bursa, busan, cairo, calcutta, calgary, california,
    cambridge, cape town, caracas, cardiff, casablanca, charleston, charlotte, chengdu, chennai, chicago,
    cincinnati, cleveland, cologne, colorado, columbus, connecticut, copenhagen, cork, dakar, dallas, damascus,
    debrecen, delaware, delhi, denver, detroit, dhaka, doha, dortmund, dresden, dubai, dublin, durban, dusseldorf,
    edinburgh, edmonton, eindhoven, essen, florence, florida, frankfurt, gdansk, geneva, genoa, ghent, glasgow,
    gothenburg, granada, graz, guadalajara, guangzhou, hamburg, hanoi, hanover, havana, hawaii, helsinki, ho chi
    minh city, houston, hyderabad, idaho, illinois, indiana, indianapolis, innsbruck, iowa, istanbul, izmir,
    jakarta, jeddah, jerusalem, johannesburg, kabul, kansas, karachi, kathmandu, kentucky, kharkiv, kiev, kingston,
    kobe, kolkata, krakow, kuala lumpur, kyiv, kyoto, lagos, lahore, las vegas, lausanne, leeds, leicester, leipzig,
    lille, lima, linz, lisbon, liverpool, ljubljana, london, los angeles, louisiana, lucerne, lviv, lyon, madrid,
    maine, malaga, malmo, manchester, manila, marseille, maryland, massachusetts, mecca, melbourne, memphis, mexico
    city, miami, michigan, milan, minneapolis, minnesota, minsk, mississippi, missouri, montana, montevideo,
    montreal, moscow, mumbai, munich, nairobi, nantes, naples, nashville, nebraska, nevada, new delhi, new
    hampshire, new jersey, new mexico, new orleans, new york, newcastle, nice, north carolina, nottingham, oakland,
    odessa, ohio, oklahoma, oregon, osaka, oslo, ottawa, oxford, palermo, paris, pennsylvania, perth, philadelphia,
    phoenix, pittsburgh, plymouth, porto, portland, poznan, prague, pretoria, quebec, queens, quito, rabat, rhode
    island, riga, rio de janeiro, riyadh, rome, rotterdam, sacramento, salzburg, san antonio, san diego, san
    francisco, san jose, santiago, sao paulo, sarajevo, seattle, seoul, seville, shanghai, sheffield, shenzhen,
    singapore, skopje, sofia, south carolina, southampton, stockholm, strasbourg, stuttgart, sydney, taipei,
    tallinn, tampa, tehran, tel aviv, tennessee, texas, the hague, thessaloniki, tirana, tokyo, toronto, toulouse,
    trieste, tunis, turin, turku, utah, utrecht, valencia, vancouver, venice, vermont, verona, vienna, vilnius,
    virginia, warsaw, washington, wellington, west virginia, wisconsin, wroclaw, wyoming, yokohama, york, zagreb,
    zaragoza, zurich
    """.split(",")  # noqa: SIM905 - a list of names reads as one
)
PEOPLES = frozenset(
    """
    afghan african albanian algerian american angolan arab argentine argentinian armenian asian australian austrian
    azerbaijani bahraini bangladeshi basque belarusian belgian bolivian bosnian brazilian british bulgarian burmese
    cambodian cameroonian canadian catalan chilean chinese colombian congolese croatian cuban cypriot czech danish
    dominican dutch ecuadorean ecuadorian egyptian english eritrean estonian ethiopian european filipino finnish
    flemish french gambian georgian german ghanaian greek greenlandic greenlander guatemalan haitian hispanic
    honduran hungarian icelandic icelander indian indonesian iranian iraqi irish israeli italian jamaican japanese
    jordanian kazakh kenyan korean kosovar kurdish kuwaiti latino latina latvian lebanese liberian libyan lithuanian
    macedonian malaysian maltese mexican moldovan mongolian montenegrin moroccan namibian nepalese nicaraguan
    nigerian norwegian omani pakistani palestinian panamanian paraguayan persian peruvian polish portuguese
    puerto-rican qatari romanian russian rwandan saudi scottish senegalese serbian singaporean slovak slovakian
    slovene slovenian somali spanish sudanese swedish swiss syrian taiwanese tanzanian thai tunisian turkish turkmen
    ugandan ukrainian uruguayan uzbek venezuelan vietnamese welsh yemeni zambian zimbabwean scandinavian swede dane
    finn norseman spaniard briton christian catholic protestant orthodox muslim islamic jew jewish hindu buddhist
    sikh atheist mormon lutheran baptist shiite shii sunni evangelical quaker methodist republican democrat
    socialist communist conservative
    """.split()  # noqa: SIM905 - a list of words reads as one
)
